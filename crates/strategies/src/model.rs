use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Encoder, Source};

use crate::evaluate::{evaluate_batches, predict_batches};
use crate::{Error, Evaluation, Metrics, Predictions, State, file, finite, parameters};

/// The safetensors metadata under which the encoder is stored.
const KEY: &str = "tidemill.encoder";

/// A trained model: a program, its parameters, and the encoder that its inputs went through.
///
/// The file holds parameters and encoder. The program is code: loading checks that names and shapes are its.
pub struct Model<T> {
    program: Arc<Program<T>>,
    params: Vec<T>,
    encoder: Option<Encoder>,
    batch_size: Option<usize>,
}

impl<T: Scalar> Model<T> {
    /// What training has come to. Of a state within an epoch, [`Trainer::model`](crate::Trainer::model) also brings rows of
    /// tables up to date that decay.
    ///
    /// # Panics
    ///
    /// When the state is another program's.
    pub fn new(program: impl Into<Arc<Program<T>>>, state: &State<T>) -> Self {
        let program = program.into();
        Self::of(program, state.params.clone())
    }

    pub(crate) fn of(program: Arc<Program<T>>, params: Vec<T>) -> Self {
        assert_eq!(program.layout().len(), params.len(), "parameters of the program");
        Self { program, params, encoder: None, batch_size: None }
    }

    /// With the encoder that its inputs go through.
    #[must_use]
    pub fn with_encoder(mut self, encoder: Encoder) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Evaluates and predicts so many rows at a time: for models in which rows of a batch depend on each other. Others are
    /// computed as many at a time as is fast.
    #[must_use]
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// The parameters and buffers, one arena of the program's layout.
    pub fn params(&self) -> &[T] {
        &self.params
    }

    /// The encoder, where there is one: raw rows go through it first.
    pub fn encoder(&self) -> Option<&Encoder> {
        self.encoder.as_ref()
    }

    /// The model.
    pub fn program(&self) -> &Arc<Program<T>> {
        &self.program
    }

    /// The loss over the rest of the epoch of a source of encoded rows, updating the metrics.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](crate::evaluate()).
    pub fn evaluate(&self, source: &mut dyn Source<T>, metrics: &mut Metrics<T>) -> Result<Evaluation, Error> {
        evaluate_batches(&self.program, &self.params, source, metrics, self.batch_size)
    }

    /// Predicts the rest of the epoch of a source of encoded rows, and says how many rows there were.
    ///
    /// # Errors
    ///
    /// As [`predict`](crate::predict()).
    pub fn predict(
        &self,
        source: &mut dyn Source<T>,
        each_chunk: impl FnMut(Predictions<'_, T>) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        predict_batches(&self.program, &self.params, source, self.batch_size, each_chunk)
    }

    /// Saves parameters and encoder as safetensors, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or a parameter is not finite.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let broken = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
        if let Some((what, value)) = finite::parameter(self.program.layout(), &self.params) {
            return Err(broken(format!("not written: {what} is {value}; the training of this model has diverged")));
        }
        let encoder = serde_json::to_string(&self.encoder).map_err(|error| broken(error.to_string()))?;
        let tensors = parameters::write(self.program.layout(), &self.params);
        file::write(path, &parameters::serialize(&tensors, KEY, encoder).map_err(broken)?)
    }

    /// Loads what [`save`](Model::save) saved; or the parameters of any safetensors file that names them so.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or its parameters are not the program's, or not finite.
    pub fn load(program: impl Into<Arc<Program<T>>>, path: impl AsRef<Path>) -> Result<Self, Error> {
        let (program, path) = (program.into(), path.as_ref());
        let broken = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
        let bytes = file::read(path)?;
        let no_file = |error| broken(format!("it is no safetensors file: {error}"));
        let tensors = SafeTensors::deserialize(&bytes).map_err(no_file)?;
        let encoder = encoder(&bytes).map_err(broken)?;
        let params = parameters::read(program.layout(), &tensors).map_err(broken)?;
        Ok(Self { program, params, encoder, batch_size: None })
    }
}

/// The encoder of a model's file, where there is one.
pub(crate) fn encoder(bytes: &[u8]) -> Result<Option<Encoder>, String> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("it is no safetensors file: {error}"))?;
    match metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY)) {
        Some(json) => serde_json::from_str(json).map_err(|error| format!("its encoder is broken: {error}")),
        None => Ok(None),
    }
}
