//! What the numbers were made with.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Page;
use crate::digest::Digest;

pub(super) fn section(page: &Page<'_>) -> Markup {
    html! {
        section id="provenance" {
            h2 { "Provenance" }
            p { "A run is known by the SHA-256 of its configuration, data, seed, device class and upstream runs. The same key gives the same bits where determinism is bitwise." }
            div.scroll tabindex="0" role="group" aria-label="provenance" {
                table {
                    thead { tr { @for head in ["Table or figure", "Tier", "Protocol", "Device", "Determinism", "Runs", "Data"] { th scope="col" { (head) } } } }
                    tbody {
                        @for report in page.reports {
                            @let keys: BTreeMap<Digest, ()> = report.cells.iter().flat_map(|cell| &cell.values).map(|value| (value.key, ())).collect();
                            @let data: BTreeMap<Digest, ()> = report.cells.iter().filter_map(|cell| Some((cell.sample.data?, ()))).collect();
                            tr {
                                th scope="row" { (report.benchmark.title) }
                                td { (report.tier) }
                                td { (report.protocol_words()) }
                                td { (report.device_class) }
                                td { (report.determinism) }
                                td.number { (keys.len()) }
                                td { @for data in data.keys() { code { (data) } " " } }
                            }
                        }
                    }
                }
            }
        }
    }
}
