//! The optimiser against PyTorch, and its promises about clipping, freezing and non-finite gradients.

use super::*;
use crate::ops::testing::{bits, close, golden, of, same_bits_everywhere, values};

type Parameters = Vec<Parameter<f32, Cpu>>;

fn parameters(values: &[Vec<f64>], frozen: Option<usize>) -> Parameters {
    let make = |(index, values): (usize, &Vec<f64>)| {
        let made = Parameter::new(&Cpu::default(), &[values.len()], of(values)).unwrap();
        Parameter { needs_grad: frozen != Some(index), ..made }
    };
    values.iter().enumerate().map(make).collect()
}

fn step(
    optimizer: &mut Optimizer<f32, Cpu>,
    parameters: &mut Parameters,
    gradients: &[Vec<f64>],
) -> Result<f64, StepError> {
    let mut all = Gradients::leaky();
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        **all.get_or_alloc_mut(&parameter.value).unwrap() = of(gradient);
    }
    let loss = Cpu::default().tensor(1.5);
    optimizer.step(&mut parameters.iter_mut().collect::<Vec<_>>(), &mut all, &loss)?;
    let stats = optimizer.step_stats()?;
    assert_eq!(stats.len(), 1);
    stats[0].check().map(|stats| stats.norm)
}

#[derive(serde::Deserialize)]
struct Golden {
    rate: f64,
    decay: f64,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    rule: String,
    clip: Option<f64>,
    frozen: Option<usize>,
    start: Vec<Vec<f64>>,
    gradients: Vec<Vec<Vec<f64>>>,
    norms: Vec<f64>,
    end: Vec<Vec<f64>>,
}

#[test]
fn agrees_with_pytorch_also_after_a_restart() {
    let Golden { rate, decay, cases } = golden("optimizer");
    for case in cases {
        let rule = match &*case.rule {
            "sgd" => Rule::Sgd,
            "rmsprop" => Rule::Rmsprop,
            _ => Rule::ADAMW,
        };
        let hyperparameters =
            Hyperparameters { rule, learning_rate: rate, weight_decay: decay, clip_norm: case.clip };
        let mut parameters = parameters(&case.start, case.frozen);
        let mut optimizer = Optimizer::new(&Cpu::default(), hyperparameters, &parameters).unwrap();
        if let Some(clip) = case.clip {
            assert!(case.norms.iter().any(|&norm| norm < clip) && case.norms.iter().any(|&norm| norm > clip));
        }
        for (gradients, norm) in case.gradients.iter().zip(case.norms) {
            let found = step(&mut optimizer, &mut parameters, gradients).unwrap();
            close("norm", &[found], &[norm]);
            let state = optimizer.state();
            optimizer = Optimizer::new(&Cpu::default(), hyperparameters, &parameters).unwrap();
            optimizer.restore(&state).unwrap();
        }
        for (parameter, end) in parameters.iter().zip(&case.end) {
            close(&case.rule, &parameter.value.as_vec(), end);
        }
        if let Some(frozen) = case.frozen {
            assert_eq!(parameters[frozen].value.as_vec(), of::<f32>(&case.start[frozen]));
        }
    }
}

#[test]
fn a_norm_that_is_not_finite_changes_nothing() {
    let start = [vec![1.0, 2.0], vec![3.0]];
    let hyperparameters =
        Hyperparameters { rule: Rule::Rmsprop, learning_rate: 0.1, weight_decay: 0.0, clip_norm: Some(8.0) };
    for bad in [f64::NAN, f64::INFINITY] {
        let mut parameters = parameters(&start, None);
        let mut optimizer = Optimizer::new(&Cpu::default(), hyperparameters, &parameters).unwrap();
        let error = step(&mut optimizer, &mut parameters, &[vec![1.0, bad], vec![1.0]]).unwrap_err();
        assert!(matches!(error, StepError::NonFinite { .. }), "{error}");
        assert_eq!(parameters[0].value.as_vec(), [1.0, 2.0]);
        assert_eq!(optimizer.state().squares, [vec![0.0, 0.0], vec![0.0]]);
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let hyperparameters =
        Hyperparameters { rule: Rule::Sgd, learning_rate: 0.1, weight_decay: 0.0, clip_norm: Some(8.0) };
    let mut parameters = parameters(&[vec![1.0, 2.0]], None);
    let mut optimizer = Optimizer::new(&Cpu::default(), hyperparameters, &parameters).unwrap();
    let mut gradients = Gradients::leaky();
    **gradients.get_or_alloc_mut(&parameters[0].value).unwrap() = vec![1.0, 1.0];
    let loss = Cpu::default().tensor(f32::NAN);
    optimizer.step(&mut parameters.iter_mut().collect::<Vec<_>>(), &mut gradients, &loss).unwrap();
    let stats = optimizer.step_stats().unwrap()[0];
    assert!(matches!(stats.check(), Err(StepError::Loss(loss)) if loss.is_nan()));
    assert_eq!(parameters[0].value.as_vec(), [1.0, 2.0]);
}

#[test]
fn same_bits_for_any_number_of_threads_and_instruction_set() {
    let start = [values("large", 200_001, 1.0), values("small", 9, 1.0)];
    let gradients = [values("to large", 200_001, 1.0), values("to small", 9, 1.0)];
    for (rule, clip_norm) in [(Rule::Rmsprop, Some(8.0)), (Rule::ADAMW, None)] {
        let hyperparameters = Hyperparameters { rule, learning_rate: 0.1, weight_decay: 1e-4, clip_norm };
        let (norm, _) = same_bits_everywhere(|| {
            let mut parameters = parameters(&start, None);
            let mut optimizer = Optimizer::new(&Cpu::default(), hyperparameters, &parameters).unwrap();
            let norms =
                [(); 3].map(|()| step(&mut optimizer, &mut parameters, &gradients).unwrap().to_bits());
            (norms[0], parameters.iter().flat_map(|p| bits(&p.value.as_vec())).collect::<Vec<_>>())
        });
        let exact: f64 = gradients.iter().flatten().map(|g| (*g as f32).to_f64().powi(2)).sum();
        assert!((f64::from_bits(norm) / exact.sqrt() - 1.0).abs() < 1e-7);
    }
}

#[test]
fn other_parameters_and_other_state_are_errors() {
    let hyperparameters =
        Hyperparameters { rule: Rule::Rmsprop, learning_rate: 0.1, weight_decay: 0.0, clip_norm: Some(8.0) };
    let mut optimizer =
        Optimizer::new(&Cpu::default(), hyperparameters, &parameters(&[vec![1.0, 2.0]], None)).unwrap();
    let mut others = parameters(&[vec![1.0]], None);
    assert!(matches!(step(&mut optimizer, &mut others, &[vec![1.0]]), Err(StepError::Op(_))));
    assert!(
        optimizer.restore(&OptimizerState { squares: vec![vec![1.0]], ..OptimizerState::default() }).is_err()
    );
}
