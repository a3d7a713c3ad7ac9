//! How to get the data, for `i2m2 data explain mimic`.

/// What MIMIC-III is, how to get it, where to put it, and what stays on this machine.
pub(super) const TEXT: &str = "\
MIMIC-III: credentialed data. i2m2 never downloads it, and holds no copy of it.

What is needed: DIR/im.npz (or DIR/mimic/im.npz) with four arrays of N admissions (the paper: N = 36,212)
  ep_tdata          (N, 24, 12)  hourly series, in raw units
  adm_features_all  (N, 5)       age in days, AIDS, hematologic malignancy, metastatic cancer, admission type
  adm_labels_all    (N, 6)       0 or 1: death in hospital, within 24 h, 48 h, 72 h, 30 days, 1 year
  y_icd9            (N, 20)      0 or 1: ICD-9 groups

How to get it
  1. Become a credentialed user of PhysioNet, complete the required training (CITI, \"Data or Specimens Only
     Research\") and sign the data use agreement of MIMIC-III v1.4: https://physionet.org/content/mimiciii/1.4/
  2. The authors of MultiBench give the preprocessed file im.pk to credentialed users on request:
     https://github.com/pliang279/MultiBench
  3. Convert it (Python with numpy; the harness itself never unpickles):
       python scripts/mimic_pickle_to_npz.py im.pk DIR/im.npz
  4. Check it:      i2m2 data verify mimic --data DIR
     and train:     i2m2 reproduce table2 --data DIR

What stays here
  Rows never leave memory: no row stands in a log, an error, a snapshot or a result. The results folder holds
  weights, logits by position on the test split, and aggregates. Exports leave weights and logits of this dataset out
  unless you ask for them; your data use agreement decides whether you may share them.

Without the data, table 2 runs on synthetic admissions in the same format (smoke tier), which compare with no
published number.
";
