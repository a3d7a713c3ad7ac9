//! The loss of soft targets against finite differences, PyTorch, and its own evaluation in `f64`.

use super::super::evaluate;
use super::*;
use crate::ops::testing::{assert_golden, bits, check, close, golden_case, of, same_bits_everywhere, values};

/// Loss, logits, and the gradient of every expert's logits.
type Result<E> = (E, Vec<E>, Vec<Option<Vec<E>>>);

fn run<E: Real>(experts: &[Vec<f64>], targets: &[f64], classes: usize) -> Result<E>
where
    Cpu: Device<E> + SoftTargets<E>,
{
    let device = Cpu::default();
    let tensor = |values: &[f64]| device.tensor_from_vec(of::<E>(values), (classes, values.len() / classes));
    let targets = tensor(targets);
    let experts: Vec<_> = experts.iter().map(|logits| tensor(logits)).collect();
    let traced = experts.iter().map(Tensor::leaky_trace).collect();
    let SoftProduct { loss, logits } = product_of_soft(traced, &targets).unwrap();
    let value = loss.as_vec()[0];
    let gradients = loss.backward();
    let gradients = experts.iter().map(|expert| Some(gradients.get(expert).as_vec())).collect();
    (value, logits.as_vec(), gradients)
}

fn experts(count: usize, numbers: usize, scale: f64) -> Vec<Vec<f64>> {
    (0..count).map(|e| values(&format!("expert {e}"), numbers, scale)).collect()
}

/// Scores in [0, 1], half of them 0.
fn targets(count: usize) -> Vec<f64> {
    values("targets", count, 1.0).into_iter().map(|t| t.max(0.0)).collect()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (count, classes, batch) in
        [(1, 1, 1), (1, 1, 9), (1, 2, 1), (1, 10, 3), (2, 6, 10), (2, 5, 1), (3, 10, 8), (3, 3, 17)]
    {
        let targets = targets(classes * batch);
        check(&experts(count, classes * batch, 3.0), |logits| {
            let (loss, _, gradients) = run::<f64>(logits, &targets, classes);
            (loss, gradients)
        });
    }
}

/// A product of one class is certain of it: its probability is 1 whatever the logits, so nothing can be learnt.
#[test]
fn a_product_of_one_class_has_no_gradient() {
    let targets = targets(9);
    let (loss, logits, gradients) = run::<f32>(&experts(2, 9, 3.0), &targets, 1);
    assert!(logits.iter().chain(gradients.iter().flatten().flatten()).all(|&value| value == 0.0));
    close("loss", &[loss], &[std::f64::consts::LN_2]);
}

#[test]
fn agrees_with_pytorch() {
    for count in 1..=3 {
        let case = golden_case(&format!("soft_{count}"));
        let values = |name: &str| case[name].values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let logits: Vec<_> = (0..count).map(|e| values(&format!("expert_{e}"))).collect();
        let (loss, out, gradients) = run::<f32>(&logits, &values("targets"), case["targets"].dims[0]);
        assert_golden("loss", &[loss], &case["loss"]);
        assert_golden("logits", &out, &case["out"]);
        for (e, gradient) in gradients.iter().enumerate() {
            let name = format!("expert_{e}_gradient");
            assert_golden(&name, gradient.as_ref().unwrap(), &case[&name]);
        }
    }
}

#[test]
fn training_and_evaluation_agree() {
    let (classes, batch) = (7, 13);
    let turned = |z: &Vec<f64>| -> Vec<f32> {
        (0..batch * classes).map(|i| z[i % classes * batch + i / classes] as f32).collect()
    };
    let targets = targets(classes * batch);
    for count in [1, 3] {
        let experts = experts(count, classes * batch, 5.0);
        let (loss, ..) = run::<f32>(&experts, &targets, classes);
        let rows: Vec<Vec<f32>> = experts.iter().map(turned).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let logits = match &rows[..] {
            [one] => one.iter().map(|&logit| f64::from(logit)).collect(),
            several => evaluate::log_probabilities(several, classes),
        };
        let targets = turned(&targets);
        let terms = logits
            .iter()
            .zip(&targets)
            .map(|(&z, &target)| z.max(0.0) - z * f64::from(target) + libm::log1p(libm::exp(-z.abs())));
        close("loss", &[loss], &[terms.sum::<f64>() / batch as f64]);
    }
}

/// Where a logit is far on its target's side hardly anything is lost, but not nothing; on the other side all of it is.
#[test]
fn large_logits_keep_their_small_losses() {
    let (loss, _, gradients) = run::<f32>(&[vec![20.0, -20.0, 1e4, -1e4]], &[1.0, 0.0, 1.0, 0.0], 4);
    close("loss", &[loss / 4e-9], &[2.0 * libm::exp(-20.0) / 4e-9]);
    let gradient = gradients[0].as_ref().unwrap();
    close("gradient", &gradient[1..2], &[libm::exp(-20.0)]);
    assert_eq!(gradient[2..], [0.0, 0.0]);
    let (loss, ..) = run::<f32>(&[vec![1e4, -1e4, 1e4]], &[0.0, 1.0, 0.25], 3);
    close("loss", &[loss], &[27500.0]);
    let logits = vec![1e4, -1e4, -1e4, 1e4, 0.0, 9999.0];
    let (loss, out, gradients) = run::<f32>(&[logits.clone(), logits], &[1.0, 0.0, 0.5, 0.3, 0.0, 1.0], 3);
    assert!(loss.is_finite() && out.iter().all(|value| value.is_finite()));
    assert!(gradients.into_iter().flatten().flatten().all(f32::is_finite));
}

#[test]
fn nan_reaches_the_loss() {
    let whole = [0.0, 0.1, 0.5, 1.0];
    let broken = [0.0, f64::NAN, 1.0, 2.0];
    for (logits, targets) in [(&broken, &whole), (&whole, &broken)] {
        for count in [1, 2] {
            let (loss, ..) = run::<f32>(&vec![logits.to_vec(); count], targets, 2);
            assert!(loss.is_nan());
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let device = Cpu::default();
    let tensor = |classes, examples| device.zeros_like(&(classes, examples));
    let error = |experts: Vec<Features<f32, Cpu>>, targets| {
        product_of_soft(experts, &targets).err().unwrap().to_string()
    };
    assert!(error(vec![], tensor(3, 2)).contains("at least one expert"));
    assert!(error(vec![tensor(3, 2), tensor(4, 2)], tensor(3, 2)).contains("(4, 2)"));
    assert!(error(vec![tensor(3, 2)], tensor(2, 2)).contains("targets 3 x 2"));
    assert!(error(vec![tensor(3, 0)], tensor(3, 0)).contains("at least one class and example"));
    assert!(error(vec![tensor(0, 3)], tensor(0, 3)).contains("at least one class and example"));
}

#[test]
fn same_bits_on_every_instruction_set() {
    for count in [1, 3] {
        let (experts, targets) = (experts(count, 10 * 43, 5.0), targets(10 * 43));
        same_bits_everywhere(|| {
            let (loss, logits, gradients) = run::<f32>(&experts, &targets, 10);
            let gradients: Vec<_> = gradients.into_iter().flatten().map(|values| bits(&values)).collect();
            (loss.to_bits(), bits(&logits), gradients)
        });
    }
}
