//! The page is whole, asks for nothing, and lets no text become markup.

use super::*;
use crate::gate::effects::effects;
use crate::gate::{claims, test_claims};
use crate::report::tests::made_up;
use crate::study::{Tier, deviations};

fn page(reports: &[Report]) -> String {
    let claims = test_claims(claims().unwrap(), &|_| None).unwrap();
    let deviations = deviations().unwrap();
    let (tool, made) = ("0.0 <b>made up</b>".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    render(&Page {
        reports,
        claims: &claims,
        deviations: &deviations,
        effects: &effects().unwrap(),
        tool,
        made,
    })
    .unwrap()
}

#[test]
fn everything_is_on_the_page() {
    let reports = [made_up("table1", Tier::Paper, 5), made_up("table2", Tier::Paper, 5)];
    let text = page(&reports);
    for report in &reports {
        assert!(text.contains(&format!("<section class=\"benchmark\" id=\"{}\">", report.benchmark.id)));
        for cell in &report.cells {
            assert!(text.contains(&format!("<code>{}</code>", cell.id)), "{}", cell.id);
            for value in &cell.values {
                assert!(text.contains(&value.key.short()));
            }
        }
    }
    for claim in claims().unwrap() {
        assert!(text.contains(&format!("id=\"claim-{}\"", claim.id)));
    }
    for deviation in deviations().unwrap() {
        assert!(text.contains(&format!("id=\"deviation-{}\"", deviation.id)));
    }
    // What is said of a model is not counted among what is said of data.
    assert!(text.contains(
        " about its generative model: 0 supported, 0 contradicted, 0 not decidable, 4 not measured."
    ));
    // Every link within the page leads somewhere.
    for target in text.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(text.contains(&format!("id=\"{target}\"")), "{target}");
    }
    assert!(text.len() < 3_000_000);
}

#[test]
fn the_page_asks_for_nothing() {
    let text = page(&[made_up("table1", Tier::Smoke, 3)]);
    let without_names = text.replace("http://www.w3.org/2000/svg", "");
    for word in ["http:", "https:", "//cdn", "src=", "@import", "url("] {
        assert!(!without_names.contains(word), "{word}");
    }
}

#[test]
fn text_stays_text() {
    let mut report = made_up("table1", Tier::Paper, 5);
    report.cells[0].judgement.reason = "</script><script>alert(1)</script> \"&".to_owned();
    report.device_class = "<img src=x onerror=alert(1)>".to_owned();
    let text = page(&[report]);
    assert!(!text.contains("<script>alert") && !text.contains("<img") && !text.contains("<b>made up"));
    assert!(text.contains("&lt;script&gt;alert(1)") && text.contains("&lt;b&gt;made up"));
}
