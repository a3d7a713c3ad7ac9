//! The findings of each slice, from fastMRI+'s `knee.csv`.
//!
//! Invariant: an annotation is one of the 22 that fastMRI+ has, or an error; nothing is sorted into a group by guess.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::choices::StudyLevel;
use crate::data::DataError;

/// The four findings, in the order of the networks' heads and of the bits of a label: everything that is none of the others
/// ("abnormal"), meniscus tears, the anterior cruciate ligament, cartilage.
pub const FINDINGS: [&str; 4] = ["others", "meniscus", "acl", "cartilage"];
const OTHERS: usize = 0;
const MENISCUS: usize = 1;
const ACL: usize = 2;
const CARTILAGE: usize = 3;

/// Every annotation of fastMRI+'s knees, and what it counts as.
const KNOWN: [(&str, usize); 22] = [
    ("Bone - Lesion", OTHERS),
    ("Bone- Subchondral edema", OTHERS),
    ("Bone-Fracture/Contusion/dislocation", OTHERS),
    ("Cartilage - Full Thickness loss/defect", CARTILAGE),
    ("Cartilage - Partial Thickness loss/defect", CARTILAGE),
    ("Displaced Meniscal Tissue", OTHERS),
    ("Joint Bodies", OTHERS),
    ("Joint Effusion", OTHERS),
    ("LCL Complex - Low-Mod Grade Sprain", OTHERS),
    ("LCL Complex- High Grade Sprain", OTHERS),
    ("Ligament - ACL High Grade Sprain", ACL),
    ("Ligament - ACL Low Grade sprain", ACL),
    ("Ligament - MCL High Grade sprain", OTHERS),
    ("Ligament - MCL Low-Mod Grade Sprain", OTHERS),
    ("Ligament - PCL High Grade", OTHERS),
    ("Ligament - PCL Low-Mod grade sprain", OTHERS),
    ("Meniscus Tear", MENISCUS),
    ("Muscle Strain", OTHERS),
    ("Patellar Retinaculum - High grade sprain", OTHERS),
    ("Periarticular cysts", OTHERS),
    ("Soft Tissue Lesion", OTHERS),
    ("artifact", OTHERS),
];

#[derive(Deserialize)]
struct Row {
    file: String,
    slice: String,
    study_level: String,
    label: String,
}

/// Findings of one slice, as bits: with and without annotations of the whole study (deviation F12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    slice: u8,
    study: u8,
}

impl Labels {
    /// The label: bit h is finding h of [`FINDINGS`].
    pub fn bits(self, study_level: StudyLevel) -> u32 {
        match study_level {
            StudyLevel::Slice0 => u32::from(self.slice | self.study),
            StudyLevel::Ignore => u32::from(self.slice),
        }
    }
}

/// All annotations, by volume and slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    volumes: BTreeMap<String, BTreeMap<usize, Labels>>,
}

impl Annotations {
    /// Reads `knee.csv`.
    ///
    /// # Errors
    /// A file that is not there, lacks a column, or holds a slice or an annotation that cannot be.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = std::fs::read(path).map_err(DataError::open(
            path,
            "fastMRI+'s annotations, knee.csv",
            "download it from fastMRI+ (`i2m2 data explain fastmri`)",
        ))?;
        Annotations::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of `knee.csv`; `file` is for messages.
    ///
    /// # Errors
    /// As [`Annotations::read`].
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, DataError> {
        let mut volumes: BTreeMap<String, BTreeMap<usize, Labels>> = BTreeMap::new();
        for (index, row) in csv::Reader::from_reader(text).deserialize().enumerate() {
            let bad = |expected: &str, found: String| DataError::Value {
                file: file.to_owned(),
                row: Some(index),
                expected: expected.to_owned(),
                found,
            };
            let row: Row =
                row.map_err(|error| bad("columns file, slice, study_level and label", error.to_string()))?;
            if row.file.is_empty() || row.file.contains(['/', '\\']) {
                return Err(bad("the name of a volume", format!("`{}`", row.file)));
            }
            let slice: u16 =
                row.slice.trim().parse().map_err(|_| bad("a slice from 0", format!("`{}`", row.slice)))?;
            let finding = finding(&row.label).ok_or_else(|| {
                let known: Vec<&str> = KNOWN.iter().map(|(label, _)| *label).collect();
                bad(&format!("one of {}", known.join("; ")), format!("`{}`", row.label))
            })?;
            let bit = 1 << finding;
            let labels = volumes.entry(row.file).or_default().entry(usize::from(slice)).or_default();
            match row.study_level.trim() {
                "No" => labels.slice |= bit,
                "Yes" => labels.study |= bit,
                other => return Err(bad("study_level Yes or No", format!("`{other}`"))),
            }
        }
        Ok(Annotations { volumes })
    }

    /// The volumes that have annotations.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.volumes.keys().map(String::as_str)
    }

    /// Labels of every slice of a volume.
    ///
    /// # Errors
    /// When an annotation is for a slice that the volume does not have.
    pub fn of(&self, file: &str, volume: &str, slices: usize) -> Result<Vec<Labels>, DataError> {
        let mut labels = vec![Labels::default(); slices];
        for (&slice, &found) in self.volumes.get(volume).into_iter().flatten() {
            *labels.get_mut(slice).ok_or_else(|| DataError::Value {
                file: file.to_owned(),
                row: None,
                expected: format!("annotations of slices below {slices} of {volume}"),
                found: format!("one of slice {slice}"),
            })? = found;
        }
        Ok(labels)
    }
}

fn finding(label: &str) -> Option<usize> {
    KNOWN.iter().find(|(known, _)| *known == label.trim()).map(|(_, finding)| *finding)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HEAD: &str = "file,slice,study_level,x,y,width,height,label\n";

    fn parse(rows: &str) -> Result<Annotations, DataError> {
        Annotations::parse("knee.csv", format!("{HEAD}{rows}").as_bytes())
    }

    #[test]
    fn groups_are_the_released_codes() {
        for (label, finding) in KNOWN {
            let expected = if label.contains("ACL") {
                ACL
            } else if label.contains("Meniscus Tear") {
                MENISCUS
            } else if label.to_lowercase().contains("cartilage") {
                CARTILAGE
            } else {
                OTHERS
            };
            assert_eq!(finding, expected, "{label}");
        }
    }

    #[test]
    fn a_slice_has_all_its_findings_and_studies_count_where_asked() {
        let found = parse(
            "a,3,No,1,2,3,4,Meniscus Tear\na,3,No,1,2,3,4,Meniscus Tear\na,3,No,1,2,3,4,Joint Effusion \n\
             a,0,Yes,,,,,artifact\nb,1,No,1,2,3,4,Ligament - ACL Low Grade sprain\n",
        )
        .unwrap();
        let bits = |volume: &str, level| -> Vec<u32> {
            found.of("knee.csv", volume, 4).unwrap().into_iter().map(|labels| labels.bits(level)).collect()
        };
        assert_eq!(bits("a", StudyLevel::Slice0), [1, 0, 0, 0b11]);
        assert_eq!(bits("a", StudyLevel::Ignore), [0, 0, 0, 0b11]);
        assert_eq!(bits("b", StudyLevel::Slice0), [0, 0b100, 0, 0]);
        assert_eq!(bits("c", StudyLevel::Slice0), [0; 4], "no annotation, no finding");
        let error = found.of("knee.csv", "a", 3).unwrap_err().to_string();
        assert!(error.contains("below 3 of a") && error.contains("slice 3"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (rows, word) in [
            ("a,-1,No,1,2,3,4,Meniscus Tear\n", "`-1`"),
            ("a,x,No,1,2,3,4,Meniscus Tear\n", "`x`"),
            ("a,99999999,No,1,2,3,4,Meniscus Tear\n", "`99999999`"),
            ("a,1,No,1,2,3,4,Meniscal tear\n", "`Meniscal tear`"),
            ("a,1,Maybe,1,2,3,4,Meniscus Tear\n", "`Maybe`"),
            ("../a,1,No,1,2,3,4,Meniscus Tear\n", "`../a`"),
            ("a,1\n", "row 0"),
        ] {
            let error = parse(rows).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("knee.csv"), "{error}");
        }
        let error = Annotations::parse("knee.csv", b"file,slice\na,1\n").unwrap_err().to_string();
        assert!(error.contains("study_level"), "{error}");
        let error = Annotations::parse("knee.csv", &[0xff, 0xfe, b'\n', 0xff]).unwrap_err();
        assert!(matches!(error, DataError::Value { .. }), "{error}");
    }

    #[test]
    fn the_real_annotations_have_the_published_counts() {
        let Some(folder) = crate::data::shared_data("fastmri_plus") else { return };
        let path = folder.join("knee.csv");
        let found = Annotations::read(&path).unwrap();
        assert_eq!(found.volumes().count(), 974);
        let mut annotations = [0; 4];
        let mut strings = BTreeSet::new();
        let mut rows = 0;
        for row in csv::Reader::from_path(&path).unwrap().deserialize::<Row>() {
            let row = row.unwrap();
            annotations[finding(&row.label).unwrap()] += 1;
            strings.insert(row.label);
            rows += 1;
        }
        // In the order of the heads: others, meniscus, ACL, cartilage.
        assert_eq!((rows, strings.len(), annotations), (16_167, 22, [5_466, 5_658, 1_443, 3_600]));
        let (mut files, mut slices, mut annotated) = ([0; 4], [0; 4], 0);
        for volume in found.volumes.values() {
            let all: Vec<u32> = volume.values().map(|labels| labels.bits(StudyLevel::Slice0)).collect();
            annotated += all.len();
            for head in 0..4 {
                let with = all.iter().filter(|&&bits| bits >> head & 1 == 1).count();
                slices[head] += with;
                files[head] += usize::from(with > 0);
            }
        }
        assert_eq!(files, [585, 663, 254, 594]);
        assert_eq!(slices, [4_497, 4_858, 1_439, 2_986]);
        assert_eq!(annotated, 9_594);
        let study: usize = found.volumes.values().flatten().filter(|(_, labels)| labels.study != 0).count();
        assert_eq!(study, 13, "whole studies, all at slice 0");
    }
}
