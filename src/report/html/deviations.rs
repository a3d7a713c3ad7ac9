//! The ledger of known differences.

use maud::{Markup, html};

use crate::gate::effects::{Effect, effects_of};
use crate::study::Deviation;

pub(super) fn section(deviations: &[Deviation], effects: &[Effect]) -> Markup {
    html! {
        section id="deviations" {
            h2 { "Deviations" }
            p { "Every known difference between the paper's text, the released code and this project. An effect is what switching a deviation changes, seed by seed: switched less as it stands, with 95 % intervals." }
            @for deviation in deviations {
                @let Deviation { id, title, paper, released, ours, why, switch, changes: _, benchmarks } = deviation;
                @let measured = effects_of(effects, id);
                details.entry id={ "deviation-" (id) } data-find={ (id) " " (title) } {
                    summary { b { (id) } " " (title) span.place { " " (benchmarks.join(", ")) } }
                    dl.evidence {
                        dt { "paper" } dd { (paper) }
                        dt { "released code" } dd { (released) }
                        dt { "here" } dd { (ours) }
                        dt { "why" } dd { (why) }
                        @if !switch.is_empty() { dt { "switch" } dd { (switch) } }
                        dt { "effect" }
                        // A single cell of the grid, however many tables were measured.
                        dd {
                            @for effect in &measured { div { (effect) } }
                            @if measured.is_empty() { (deviation.unmeasured()) }
                        }
                    }
                }
            }
        }
    }
}
