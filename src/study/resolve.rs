//! From a study file to a study: everything that refers to something else is looked up, everything that cannot be trained with
//! is refused.
//!
//! Invariant: what passes can be planned: names are known, kinds of modalities fit their networks, no model starts from itself.

use std::collections::BTreeMap;

use super::SharedBackbone;
use super::file::{
    EvaluationSettings, ExpertSettings, ModelSettings, Start, StudyFile, StudySettings, TrainingSettings, lay,
};
use super::layered::{Fault, Node, unknown};
use super::network::{Encoders, Head, ModalityEncoder, Network};
use super::recipe::{Evaluation, Optimizer, Ranking, SelectBy, Training};
use super::study::{Expert, Model, ModelTask, Study};
use super::{Change, ProtocolName, Tier};
use crate::data::names::is_plain;
use crate::data::{DatasetSpec, Kind, Preparation, Target, Task};

/// Reads a study about a dataset.
///
/// # Errors
/// What [`Fault`] says: the file and line, what was expected, the nearest name.
pub fn read(
    file: StudyFile<'_>,
    datasets: &[&'static DatasetSpec],
    protocol: ProtocolName,
    tier: Tier,
    changes: &[Change],
) -> Result<Study, Fault> {
    let document = lay(file, protocol, tier, changes)?;
    let settings: StudySettings = document.read("")?;
    Resolver { document: &document, settings: &settings }.study(file.id, datasets)
}

struct Resolver<'a> {
    document: &'a Node,
    settings: &'a StudySettings,
}

impl Resolver<'_> {
    /// A fault of the value at a dotted path, placed at the innermost part of the path that was written.
    fn wrong(&self, path: &str, problem: impl Into<String>) -> Fault {
        let mut node = self.document;
        for name in path.split('.') {
            match node.get(name) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        Fault::new(node, path, problem)
    }

    fn check(&self, holds: bool, path: &str, problem: impl FnOnce() -> String) -> Result<(), Fault> {
        if holds { Ok(()) } else { Err(self.wrong(path, problem())) }
    }

    fn study(&self, id: &str, datasets: &[&'static DatasetSpec]) -> Result<Study, Fault> {
        let StudySettings { dataset, seeds, .. } = self.settings;
        let ids = datasets.iter().map(|spec| spec.id);
        let spec = datasets.iter().find(|spec| spec.id == dataset);
        let spec = spec.ok_or_else(|| self.wrong("dataset", unknown("dataset", dataset, ids)))?;
        self.check(*seeds >= 1, "seeds", || "expected 1 or more, found 0".to_owned())?;
        let kinds = self.modalities(spec)?;
        let preparation = spec.prepare(&self.settings.preparation);
        let preparation = preparation.map_err(|error| self.wrong("preparation", error.to_string()))?;
        let tasks = self.tasks(spec, &preparation)?;
        let backbone = self.backbone(&kinds)?;
        let experts = self.experts(&kinds)?;
        let models = self.models(&tasks, &experts)?;
        Ok(Study {
            id: id.to_owned(),
            dataset: spec,
            seeds: *seeds,
            preparation,
            tasks: tasks.into_values().map(|(task, _)| task).collect(),
            backbone,
            experts,
            models,
            ensemble: self.settings.ensemble.map(|ensemble| ensemble.combine),
        })
    }

    /// The kind of each modality, in the study's order.
    fn modalities(&self, spec: &DatasetSpec) -> Result<Vec<(String, Kind)>, Fault> {
        let named = &self.settings.modalities;
        self.each_once(named, "modalities")?;
        let kind = |name: &String| {
            let place =
                spec.modality(name).map_err(|unknown| self.wrong("modalities", unknown.to_string()))?;
            Ok((name.clone(), spec.modalities[place].kind))
        };
        named.iter().map(kind).collect()
    }

    /// That there are modalities, none of them twice.
    fn each_once(&self, modalities: &[String], path: &str) -> Result<(), Fault> {
        self.check(!modalities.is_empty(), path, || "expected a modality or more, found none".to_owned())?;
        modalities.iter().enumerate().try_for_each(|(place, name)| {
            self.check(!modalities[..place].contains(name), path, || {
                format!("`{name}` stands twice; leave one out")
            })
        })
    }

    fn tasks(
        &self,
        spec: &DatasetSpec,
        preparation: &Preparation,
    ) -> Result<BTreeMap<String, (Task, SelectBy)>, Fault> {
        let named = &self.settings.tasks;
        self.check(!named.is_empty(), "tasks", || "expected a task or more, found none".to_owned())?;
        let mut tasks = BTreeMap::new();
        for (name, settings) in named {
            let path = format!("tasks.{name}");
            let task =
                spec.task(name, preparation).map_err(|unknown| self.wrong(&path, unknown.to_string()))?;
            self.selects(&task, settings.select_by, &format!("{path}.select_by"))?;
            tasks.insert(name.clone(), (task, settings.select_by));
        }
        Ok(tasks)
    }

    /// Whether a task has the metric that checkpoints are chosen by.
    fn selects(&self, task: &Task, by: SelectBy, path: &str) -> Result<(), Fault> {
        let needs = match by {
            SelectBy::Loss => "nothing",
            SelectBy::Accuracy => "classes",
            SelectBy::Auprc => "two classes",
            SelectBy::Auroc => "binary questions",
            SelectBy::Score => "soft scores",
        };
        self.check(by.fits(&task.target), path, || {
            format!("it needs a task of {needs}, and `{}` is none", task.id)
        })
    }

    /// What the experts share, if anything: sizes that fit, on modalities of its kinds.
    fn backbone(&self, kinds: &[(String, Kind)]) -> Result<Option<SharedBackbone>, Fault> {
        let Some(backbone) = &self.settings.backbone else { return Ok(None) };
        let known = || kinds.iter().map(|(name, _)| name.as_str());
        for (key, name, reads) in
            [("images", &backbone.images, Kind::Images), ("text", &backbone.text, Kind::Tokens)]
        {
            let path = format!("backbone.{key}");
            let kind = kinds.iter().find(|(modality, _)| modality == name).map(|(_, kind)| *kind);
            let kind =
                kind.ok_or_else(|| self.wrong(&path, unknown("modality of the study", name, known())))?;
            self.check(kind == reads, &path, || {
                format!("expected a modality of {reads}, and `{name}` holds a {kind}")
            })?;
        }
        backbone.fiber.check().map_err(|problem| self.wrong("backbone.fiber", problem))?;
        Ok(Some(backbone.clone()))
    }

    fn experts(&self, kinds: &[(String, Kind)]) -> Result<BTreeMap<String, Expert>, Fault> {
        let expert = |(id, settings): (&String, &ExpertSettings)| {
            let path = format!("experts.{id}");
            let network = self.network(settings, kinds, &path)?;
            network.check().map_err(|wrong| self.wrong(&format!("{path}.{}", wrong.path), wrong.problem))?;
            let name = settings.name.clone().unwrap_or_else(|| id.clone());
            self.check(is_plain(&name), &format!("{path}.name"), || {
                format!("expected letters, digits, `-` and `_`, found `{name}`")
            })?;
            Ok((id.clone(), Expert { name, network }))
        };
        self.settings.experts.iter().map(expert).collect()
    }

    fn network(
        &self,
        settings: &ExpertSettings,
        kinds: &[(String, Kind)],
        path: &str,
    ) -> Result<Network, Fault> {
        let known = || kinds.iter().map(|(name, _)| name.as_str());
        let fits = |name: &str, reads: Kind, path: &str| {
            let kind = kinds.iter().find(|(modality, _)| modality == name).map(|(_, kind)| *kind);
            let kind =
                kind.ok_or_else(|| self.wrong(path, unknown("modality of the study", name, known())))?;
            self.check(kind == reads, path, || {
                format!("expected a network that reads {kind}, and this one reads {reads}")
            })
        };
        if let Some(on_backbone) = settings.on_backbone {
            let others = (&settings.backbone, &settings.head, &settings.fusion);
            self.check(others == (&None, &None, &None) && settings.encoders.is_empty(), path, || {
                "a head on the shared backbone stands alone: leave out encoders, fusion, head and backbone"
                    .to_owned()
            })?;
            self.check(self.settings.backbone.is_some(), &format!("{path}.on_backbone"), || {
                "the study has no backbone: expected a table `[backbone]`".to_owned()
            })?;
            return Ok(Network::OnBackbone { on_backbone });
        }
        match (&settings.backbone, &settings.head) {
            (Some(backbone), None) if settings.encoders.is_empty() && settings.fusion.is_none() => {
                let path = format!("{path}.backbone.modalities");
                self.each_once(backbone.modalities(), &path)?;
                backbone.modalities().iter().try_for_each(|name| fits(name, backbone.reads(), &path))?;
                Ok(Network::Backbone { backbone: backbone.clone() })
            }
            (Some(_), _) => {
                Err(self.wrong(path, "a backbone stands alone: leave out encoders, fusion and head"))
            }
            (None, _) if settings.encoders.is_empty() => {
                Err(self
                    .wrong(path, "it looks at no modality: expected `encoders.<modality>`, or a backbone"))
            }
            (None, None) => Err(self.wrong(path, "expected a head, for example `head.hidden = 100`")),
            (None, &Some(head)) => self.encoders(settings, head, kinds, path, &fits),
        }
    }

    fn encoders(
        &self,
        settings: &ExpertSettings,
        head: Head,
        kinds: &[(String, Kind)],
        path: &str,
        fits: &dyn Fn(&str, Kind, &str) -> Result<(), Fault>,
    ) -> Result<Network, Fault> {
        for (name, encoder) in &settings.encoders {
            fits(name, encoder.reads(), &format!("{path}.encoders.{name}"))?;
        }
        let in_order = kinds.iter().filter_map(|(modality, _)| {
            let encoder = settings.encoders.get(modality)?.clone();
            Some(ModalityEncoder { modality: modality.clone(), encoder })
        });
        let fusion = settings.fusion.unwrap_or_default();
        Ok(Network::Encoders(Encoders { encoders: in_order.collect(), fusion, head }))
    }

    fn models(
        &self,
        tasks: &BTreeMap<String, (Task, SelectBy)>,
        experts: &BTreeMap<String, Expert>,
    ) -> Result<BTreeMap<String, Model>, Fault> {
        let mut models = BTreeMap::new();
        for (id, settings) in &self.settings.models {
            let path = format!("models.{id}");
            self.members(id, settings, experts, &path)?;
            let start = self.start(settings, &path)?;
            self.rates(&settings.training, &format!("{path}.training"))?;
            let tasks = tasks.iter().map(|(name, (task, select_by))| {
                Ok((name.clone(), self.model_task(settings, task, *select_by, &path)?))
            });
            let tasks = tasks.collect::<Result<_, Fault>>()?;
            models.insert(id.clone(), Model { experts: settings.experts.clone(), start, tasks });
        }
        self.no_circles(&models)?;
        Ok(models)
    }

    /// The experts of a model are known, and differ in name.
    fn members(
        &self,
        id: &str,
        settings: &ModelSettings,
        experts: &BTreeMap<String, Expert>,
        path: &str,
    ) -> Result<(), Fault> {
        let path = format!("{path}.experts");
        self.check(!settings.experts.is_empty(), &path, || {
            format!("model `{id}` has no experts: expected one or more")
        })?;
        let mut names: Vec<&str> = Vec::new();
        for expert in &settings.experts {
            let known = experts.keys().map(String::as_str);
            let found =
                experts.get(expert).ok_or_else(|| self.wrong(&path, unknown("expert", expert, known)))?;
            self.check(!names.contains(&found.name.as_str()), &path, || {
                format!("two experts of the name `{}`; a run tells its experts apart by name", found.name)
            })?;
            names.push(&found.name);
        }
        Ok(())
    }

    /// By expert, in the model's order: the model that it starts from.
    fn start(&self, settings: &ModelSettings, path: &str) -> Result<Vec<Option<String>>, Fault> {
        let path = format!("{path}.start");
        let models = &self.settings.models;
        let alone = |expert: &String| {
            let model = models.iter().find(|(_, other)| other.experts == [expert.clone()]);
            let model = model.ok_or_else(|| {
                self.wrong(&path, format!("no model trains `{expert}` alone: add one, or start from scratch"))
            })?;
            Ok(Some(model.0.clone()))
        };
        match &settings.start {
            Start::Scratch => Ok(vec![None; settings.experts.len()]),
            Start::Pretrained if settings.experts.len() == 1 => {
                Err(self.wrong(&path, "expected \"scratch\": a single expert has nothing to start from"))
            }
            Start::Pretrained => settings.experts.iter().map(alone).collect(),
            Start::From(chosen) => {
                for (expert, model) in chosen {
                    let own = settings.experts.iter().map(String::as_str);
                    self.check(settings.experts.contains(expert), &format!("{path}.{expert}"), || {
                        unknown("expert of the model", expert, own)
                    })?;
                    let known = models.keys().map(String::as_str);
                    let found = models.get(model).ok_or_else(|| {
                        self.wrong(&format!("{path}.{expert}"), unknown("model", model, known))
                    })?;
                    self.check(found.experts.contains(expert), &format!("{path}.{expert}"), || {
                        format!("model `{model}` has no expert `{expert}` to start from")
                    })?;
                }
                Ok(settings.experts.iter().map(|expert| chosen.get(expert).cloned()).collect())
            }
        }
    }

    fn no_circles(&self, models: &BTreeMap<String, Model>) -> Result<(), Fault> {
        for id in models.keys() {
            let mut way = vec![id.as_str()];
            let mut next: Vec<&str> = models[id].start.iter().flatten().map(String::as_str).collect();
            while let Some(model) = next.pop() {
                if model == id {
                    way.push(id);
                    let problem = format!("model `{id}` starts from itself ({})", way.join(" -> "));
                    return Err(self.wrong(&format!("models.{id}.start"), problem));
                }
                if !way.contains(&model) {
                    way.push(model);
                    next.extend(models[model].start.iter().flatten().map(String::as_str));
                }
            }
        }
        Ok(())
    }

    fn rates(&self, training: &TrainingSettings, path: &str) -> Result<(), Fault> {
        let TrainingSettings { learning_rate, weight_decay, clip_norm, batch_size, epochs, .. } = *training;
        let above = |name: &str, value: f64| {
            self.check(value.is_finite() && value > 0.0, &format!("{path}.{name}"), || {
                format!("expected a finite number above 0, found {value}")
            })
        };
        above("learning_rate", learning_rate)?;
        clip_norm.map_or(Ok(()), |norm| above("clip_norm", norm))?;
        self.check(weight_decay.is_finite() && weight_decay >= 0.0, &format!("{path}.weight_decay"), || {
            format!("expected a finite number of 0 or more, found {weight_decay}")
        })?;
        self.check(
            training.betas.is_none() || training.optimizer == Optimizer::AdamW,
            &format!("{path}.betas"),
            || "they belong to AdamW".to_owned(),
        )?;
        self.check(
            training.betas.is_none_or(|betas| betas.iter().all(|beta| (0.0..1.0).contains(beta))),
            &format!("{path}.betas"),
            || "expected two numbers in [0, 1)".to_owned(),
        )?;
        let micro_batch = training.micro_batch.unwrap_or(batch_size);
        for (name, count) in [("batch_size", batch_size), ("epochs", epochs), ("micro_batch", micro_batch)] {
            self.check(count >= 1, &format!("{path}.{name}"), || "expected 1 or more, found 0".to_owned())?;
        }
        Ok(())
    }

    /// How a model is trained and evaluated for a task.
    fn model_task(
        &self,
        settings: &ModelSettings,
        task: &Task,
        select_by: SelectBy,
        path: &str,
    ) -> Result<ModelTask, Fault> {
        let EvaluationSettings { norm, combine, score, operating_point } = settings.evaluation;
        let own = &settings.training;
        let select_by = own.select_by.unwrap_or(select_by);
        self.selects(task, select_by, &format!("{path}.training.select_by"))?;
        let binary = matches!(task.target, Target::Binary { .. });
        self.check(binary || own.class_weights.is_none(), &format!("{path}.training.class_weights"), || {
            format!("they belong to binary questions, and `{}` has none", task.id)
        })?;
        let training = Training {
            optimizer: own.optimizer,
            learning_rate: own.learning_rate,
            weight_decay: own.weight_decay,
            betas: own.betas,
            clip_norm: own.clip_norm,
            batch_size: own.batch_size,
            // A micro-batch that holds the whole batch is none.
            micro_batch: own.micro_batch.filter(|&size| size < own.batch_size),
            epochs: own.epochs,
            patience: own.patience,
            select_by,
            class_weights: binary.then(|| own.class_weights.unwrap_or(super::ClassWeights::None)),
        };
        let ranking = binary.then_some(Ranking { score, operating_point });
        Ok(ModelTask {
            task: task.clone(),
            training,
            evaluation: Evaluation { norm, combine, ranking, noise: None },
        })
    }
}
