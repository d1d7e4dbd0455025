//! How a model is trained: a [`Strategy`] says how data reaches it and when parameters move, an [`Engine`] how the
//! gradient of one batch is obtained, and a [`State`] is everything that changes meanwhile.
//!
//! This is the only crate that knows model, data, optimizer and workers all at once. It does not know layers, losses or
//! file formats of data.
//!
//! A [`Session`] is one run: it offers the steps that strategies are written with. [`Batch`] and [`Online`] are loops of a
//! few lines over it, and so is one's own. [`Callback`]s are told what happens, and may act on it; a [`GradientSync`] says
//! how several ranks agree on each step.

mod batch;
mod binding;
mod callback;
mod checkpoint;
mod engine;
mod error;
mod evaluate;
mod extension;
mod file;
mod finite;
mod metrics;
mod model;
mod online;
mod parameters;
mod partial;
mod ranks;
mod rows;
mod scores;
mod session;
mod state;
mod strategy;
mod sync;
mod timeline;
mod touched;
mod trainer;
mod world;

pub use batch::Batch;
pub use binding::{Binding, Need};
pub use callback::{
    Callback, CallbackMemory, Checkpoints, Control, EarlyStopping, Event, History, HistoryPoint, OnEvent, on_event,
};
pub use checkpoint::saved_encoder;
pub use engine::{
    AgreeStep, Arenas, Auto, DataParallel, Distributed, Engine, Hogwild, InParts, NonFinite, OptimizerMemory, Outputs,
    RankRows, Ranks, ReadRows, Running, Serial, Task, Updated,
};
pub use error::Error;
pub use evaluate::{Evaluation, Predictions, evaluate, predict};
pub use metrics::{HeadMetric, Metrics};
pub use model::Model;
pub use online::Online;
pub use partial::{LoadReport, load_parameters};
pub use session::{Outcome, Plan, Session, Waited};
pub use state::{State, Sums};
pub use strategy::{Strategy, Summary};
pub use sync::{
    Adasum, After, AllReduce, Average, Compress, Compression, FastAllReduce, GradientSync, LocalRound, Overlap,
    OwnState, RankMemory, Sharing, SyncRun, SyncStep, Synced,
};
pub use timeline::{Activity, Timeline};
pub use trainer::Trainer;
