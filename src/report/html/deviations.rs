//! The ledger of known differences.

use maud::{Markup, html};

use crate::protocol::Deviation;

pub(super) fn section(deviations: &[Deviation]) -> Markup {
    html! {
        section id="deviations" {
            h2 { "Deviations" }
            p { "Every known difference between the paper's text, the released code and this project." }
            @for Deviation { id, title, paper, released, ours, why, switch, effect, benchmarks } in deviations {
                details.entry id={ "deviation-" (id) } data-find={ (id) " " (title) } {
                    summary { b { (id) } " " (title) span.place { " " (benchmarks.join(", ")) } }
                    dl.evidence {
                        dt { "paper" } dd { (paper) }
                        dt { "released code" } dd { (released) }
                        dt { "here" } dd { (ours) }
                        dt { "why" } dd { (why) }
                        @if !switch.is_empty() { dt { "switch" } dd { (switch) } }
                        dt { "effect" } dd { (effect.as_deref().unwrap_or("not measured")) }
                    }
                }
            }
        }
    }
}
