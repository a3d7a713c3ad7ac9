//! The datasets that this harness comes with.
//!
//! Invariant: adding one adds its folder and one line here.

use super::names::UnknownName;
use super::spec::DatasetSpec;
use super::{avmnist, fastmri, generative, mimic, nlvr2, vqa};

static REGISTRY: &[&DatasetSpec] =
    &[&avmnist::SPEC, &mimic::SPEC, &fastmri::SPEC, &vqa::SPEC, &nlvr2::SPEC, &generative::SPEC];

/// Every dataset.
pub(crate) fn all() -> &'static [&'static DatasetSpec] {
    REGISTRY
}

/// The dataset of this id.
///
/// # Errors
/// When there is none, with the nearest name.
pub(crate) fn find(id: &str) -> Result<&'static DatasetSpec, UnknownName> {
    let found = REGISTRY.iter().copied().find(|spec| spec.id == id);
    found.ok_or_else(|| UnknownName::new("dataset", "i2m2", id, REGISTRY.iter().map(|spec| spec.id)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::data::{Dataset, Source, StatCache, Task};

    #[test]
    fn every_description_is_sound_and_every_id_its_own() {
        for spec in all() {
            assert_eq!(spec.check(), Ok(()), "{}", spec.id);
            assert!(std::ptr::eq(find(spec.id).unwrap(), *spec));
            assert!(!spec.explain.is_empty() && !spec.title.is_empty());
            assert!(spec.build.is_none_or(|build| build.command().get_name() == spec.id), "{}", spec.id);
        }
        let ids: BTreeSet<&str> = all().iter().map(|spec| spec.id).collect();
        assert_eq!(ids.len(), all().len());
    }

    #[test]
    fn an_unknown_dataset_gets_the_nearest_name() {
        let error = find("avmist").err().unwrap().to_string();
        assert!(error.contains("`avmist`") && error.contains("did you mean `avmnist`?"), "{error}");
        assert!(!find("zzz").err().unwrap().to_string().contains("did you mean"));
    }

    #[test]
    fn preparations_are_words_that_the_dataset_knows() {
        let words = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, word)| ((*key).to_owned(), (*word).to_owned())).collect()
        };
        let mimic = find("mimic").unwrap();
        assert_eq!(mimic.prepare(&words(&[])).unwrap(), mimic.defaults());
        let train = mimic.prepare(&words(&[("standardise_on", "train")])).unwrap();
        assert_eq!((train.word("standardise_on"), mimic.defaults().word("standardise_on")), ("train", "all"));
        for (wrong, word) in [
            (("standardise_on", "trian"), "did you mean `train`"),
            (("standardize_on", "train"), "did you mean `standardise_on`"),
        ] {
            let error = mimic.prepare(&words(&[wrong])).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("mimic"), "{error}");
        }
    }

    #[test]
    fn a_task_or_modality_that_there_is_not_is_told() {
        let spec = find("fastmri").unwrap();
        assert_eq!(
            (spec.modality("phase"), spec.task("knee", &spec.defaults()).unwrap().logits()),
            (Ok(1), 8)
        );
        let error = spec.modality("phases").unwrap_err().to_string();
        assert!(error.contains("one of magnitude, phase, rss (did you mean `phase`?)"), "{error}");
        assert!(spec.task("knees", &spec.defaults()).unwrap_err().to_string().contains("expected `knee`"));
    }

    fn agrees(spec: &DatasetSpec, task: &Task, data: &dyn Dataset) {
        let described: Vec<_> = spec.modalities.iter().map(|m| (m.name, m.kind)).collect();
        let found: Vec<_> = data.modalities().iter().map(|m| (m.name.as_str(), m.kind)).collect();
        assert_eq!(described, found, "{}", spec.id);
        assert_eq!(data.test_splits(), spec.test_splits, "{}", spec.id);
        let subsets: Vec<&str> = data.subsets().iter().map(|subset| subset.name.as_str()).collect();
        let averages: Vec<&str> = data.averages().iter().map(|average| average.name.as_str()).collect();
        assert_eq!((&subsets[..], &averages[..]), (spec.subsets, spec.averages), "{}", spec.id);
        assert_eq!(data.check(&task.target), Ok(()), "{} {}", spec.id, task.id);
    }

    /// Fixtures hold what their descriptions say: every task, modality and kind.
    #[test]
    fn descriptions_are_those_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Fixture(folder.path().to_owned());
        for spec in all().iter().filter(|spec| spec.id != "fastmri") {
            let preparation = spec.defaults_at(&source).unwrap();
            spec.identify(&source, &preparation, &StatCache::in_memory()).unwrap();
            let prepared = spec.open(&source, &preparation).unwrap();
            for task in (spec.tasks)(&preparation) {
                let draw = crate::data::Population { strength: 2.0, rows: 100, draw: 0 };
                let data = prepared.view(&task.id, spec.synthetic.then_some(draw)).unwrap();
                agrees(spec, &task, &*data);
            }
            assert!(prepared.view("no such task", None).is_none());
            spec.fixture.unwrap().verify(folder.path(), &preparation).unwrap();
        }
    }
}
