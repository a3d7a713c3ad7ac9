//! The paper's sentences, each with its verdict and what that rests on.

use maud::{Markup, html};

use crate::engine::plan::CellId;
use crate::gate::{ClaimVerdict, TestedClaim};
use crate::report::comparison_words;

pub(super) fn section(claims: &[TestedClaim]) -> Markup {
    html! {
        section id="claims" {
            h2 { "Claims" }
            p { "Sentences of the paper that can be tested, word for word. They are tested at the paper tier on real data, and those about the paper's generative model on Figure 1's runs; those that the paper's own printed numbers contradict are marked without any run." }
            @for claim in claims { (one(claim)) }
        }
    }
}

fn one(tested: &TestedClaim) -> Markup {
    let claim = &tested.claim;
    let (class, mark) = match tested.verdict {
        ClaimVerdict::Supported => ("good", "✓"),
        ClaimVerdict::Contradicted => ("bad", "≠"),
        ClaimVerdict::NotDecidable => ("open", "?"),
        ClaimVerdict::Incomplete => ("open", "…"),
        ClaimVerdict::Calibrated => ("none", "⌖"),
        ClaimVerdict::NotMeasured => ("none", "∅"),
    };
    html! {
        details.entry id={ "claim-" (claim.id) } data-find={ (claim.id) " " (claim.sentence) " " (claim.place) } {
            summary {
                span.badge.(class) { (mark) " " (tested.words()) }
                @if claim.printed.is_some() { " " span.badge.bad { "≠ in print" } }
                " " q { (claim.sentence) } span.place { " " (claim.place) }
            }
            dl.evidence {
                dt { "id" } dd { code { (claim.id) } }
                @if let Some(printed) = &claim.printed { dt { "in print" } dd { (printed) } }
                @if let Some(needs) = &claim.needs { dt { "it would take" } dd { (needs) } }
                @if let Some(note) = &claim.note { dt { "note" } dd { (note) } }
                @if !tested.tested.is_empty() {
                    dt { "says" }
                    dd { ul { @for pair in &tested.tested { li { (comparison_words(pair, CellId::to_string)) } } } }
                }
            }
        }
    }
}
