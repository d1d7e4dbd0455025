use std::ops::Range;

use tidemill_autograd::tensor::{Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Gathered};

use super::message::Codec;
pub use super::message::Compression;
use super::{After, GradientSync, OwnState, RankMemory, SyncRun, SyncStep, Synced};
use crate::Error;

/// Ranks send less than their whole gradients. What is not sent is the error feedback: it is kept and added to the next
/// gradient, so that nothing is lost but time.
///
/// All ranks take the same step, to the bit; it is not the step that whole gradients would give. Every rank gets what
/// every other sends, so that with many ranks a message must be much smaller to be worth it: whole gradients cost a
/// rank `2 · (R − 1) / R` times the gradient's bytes whatever the number `R` of ranks, these `R − 1` messages.
///
/// With fewer ranks than before, the error feedback of the others is shared out among them.
///
/// # References
///
/// S. U. Stich, J.-B. Cordonnier, M. Jaggi, *Sparsified SGD with memory*, 2018. S. P. Karimireddy et al., *Error feedback
/// fixes SignSGD and other gradient compression schemes*, 2019.
pub struct Compress<T> {
    kind: Compression,
    part_bytes: Option<usize>,
    codec: Option<Codec>,
    feedback: Vec<T>,
    message: Vec<u8>,
    all: Gathered,
}

const FEEDBACK: &str = "error_feedback";

impl<T: Scalar> Compress<T> {
    /// Sends this of gradients.
    pub fn new(kind: Compression) -> Self {
        let (feedback, message, all) = (Vec::new(), Vec::new(), Gathered::default());
        Self { kind, part_bytes: None, codec: None, feedback, message, all }
    }

    /// Writes what is sent of parts of the gradient, of at least so many bytes, while the rest is still computed; it is sent
    /// when all of it is written. What is largest, and what a sign stands for, is then so within a part.
    #[must_use]
    pub fn overlap(mut self, bytes: usize) -> Self {
        self.part_bytes = Some(bytes);
        self
    }

    /// Whole sums in the first so many steps, and only then this.
    pub fn after(self, steps: u64) -> After<Self> {
        After::new(steps, self)
    }

    /// Adds what the error feedback has kept to a part of the gradient, and writes what is sent of it.
    fn write(&mut self, range: Range<usize>, part: &mut [T]) {
        kernels::add_assign(part, &self.feedback[range.clone()]);
        let codec = self.codec.as_mut().expect("a run has started");
        codec.encode(range, part, &mut self.message);
    }
}

/// Adds what a message says, times `factor`.
fn read<T: Scalar>(codec: &mut Codec, in_parts: bool, mut message: &[u8], factor: T, into: &mut [T]) {
    if !in_parts {
        codec.decode(0..into.len(), message, factor, into);
        return;
    }
    while let Some((head, rest)) = message.split_first_chunk::<16>() {
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte));
        let range = number(&head[..8])..number(&head[8..]);
        message = codec.decode(range.clone(), rest, factor, &mut into[range]);
    }
}

impl<T: Scalar> GradientSync<T> for Compress<T> {
    fn describe(&self) -> String {
        let what = match self.kind {
            Compression::Half => "sending half precision".into(),
            Compression::TopK(fraction) => format!("sending the largest {fraction} of gradients"),
            Compression::OneBit => "sending signs".into(),
        };
        match self.part_bytes {
            None => what,
            Some(bytes) => format!("{what} in parts of {bytes} bytes"),
        }
    }

    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        if let Compression::TopK(fraction) = self.kind
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            let problem = format!("the largest {fraction} of a gradient; expected a fraction above 0, up to 1");
            return Err(Error::setting("distributed", problem));
        }
        self.codec = Some(Codec::new(self.kind, run.layout));
        self.message.clear();
        self.feedback.clear();
        self.feedback.resize(run.layout.len(), T::zero());
        Ok(())
    }

    fn part_bytes(&self, _step: u64) -> Option<usize> {
        self.part_bytes
    }

    fn begin(&mut self, _ranks: &mut dyn Collective, range: Range<usize>, part: &mut [T]) -> Result<(), Lost> {
        self.message.extend((range.start as u64).to_le_bytes());
        self.message.extend((range.end as u64).to_le_bytes());
        self.write(range, part);
        Ok(())
    }

    fn cancel(&mut self, _ranks: &mut dyn Collective, _gradient: &mut [T]) -> Result<(), Lost> {
        self.message.clear();
        Ok(())
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _step: &SyncStep) -> Result<Synced, Lost> {
        let in_parts = self.part_bytes.is_some();
        if !in_parts {
            self.message.clear();
            self.write(0..gradient.len(), gradient);
        }
        let Self { codec, feedback, message, all, .. } = self;
        let codec = codec.as_mut().expect("a run has started");
        ranks.gather(message, all).inspect_err(|_| message.clear())?;
        // Only now: where a rank is lost, nothing has been sent.
        feedback.copy_from_slice(gradient);
        read(codec, in_parts, message, -T::one(), feedback);
        message.clear();
        gradient.fill(T::zero());
        for message in all.iter() {
            read(codec, in_parts, message, T::one(), gradient);
        }
        Ok(Synced::Sum)
    }

    fn remember(&self, _state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        keep(FEEDBACK, &self.feedback);
    }

    fn recall(&mut self, memory: &RankMemory<'_, T>, _optimizer: &mut [T]) -> Result<(), Error> {
        for (rank, part) in memory.get(FEEDBACK).unwrap_or_default().iter().enumerate() {
            if part.len() != self.feedback.len() {
                return Err(memory.of_another_model(FEEDBACK, part.len(), self.feedback.len()));
            }
            if rank % memory.ranks == memory.rank {
                kernels::add_assign(&mut self.feedback, part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidemill_autograd::tensor::{Initializer, Key, Layout};
    use tidemill_collective::Solo;

    use super::*;
    use crate::RankRows;
    use crate::sync::Sharing;

    const STEP: SyncStep = SyncStep { number: 0, own_weight: 1.0, sharing: Sharing::Impossible };

    fn started<T: Scalar>(mut sync: Compress<T>, layout: &Layout) -> Compress<T> {
        sync.start(&SyncRun { layout, rank: 0, ranks: 1, rows: RankRows::Own }).unwrap();
        sync
    }

    fn layout() -> Layout {
        let mut layout = Layout::new();
        layout.push("weight", &[30, 11], Initializer::Constant(0.0)).unwrap();
        layout.push("bias", &[3], Initializer::Constant(0.0)).unwrap();
        layout
    }

    fn gradient(step: u64) -> Vec<f32> {
        let number = |i| {
            let [bits, exponent, ..] = Key::new(step).block(i);
            bits as i32 as f32 * 2.0_f32.powi(exponent as i32 % 8)
        };
        (0..333).map(number).collect()
    }

    /// What has been sent and what is kept make up what was to be sent.
    #[test]
    fn nothing_is_lost() {
        for (kind, cuts) in [Compression::Half, Compression::TopK(0.1), Compression::OneBit]
            .into_iter()
            .flat_map(|kind| [(kind, &[0, 333][..]), (kind, &[0, 7, 100, 331, 333])])
        {
            let plain = Compress::new(kind);
            let mut compressor = started(if cuts.len() > 2 { plain.overlap(1) } else { plain }, &layout());
            let (mut sent, mut wanted) = (vec![0.0_f64; 333], vec![0.0_f64; 333]);
            for step in 0..5 {
                let mut gradient = gradient(step);
                wanted.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += f64::from(*g));
                if cuts.len() > 2 {
                    for part in cuts.windows(2).rev() {
                        let range = part[0]..part[1];
                        compressor.begin(&mut Solo, range.clone(), &mut gradient[range]).unwrap();
                    }
                }
                compressor.sync(&mut Solo, &mut gradient, &STEP).unwrap();
                sent.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += f64::from(*g));
            }
            let largest = wanted.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            for i in 0..333 {
                let error = (sent[i] + f64::from(compressor.feedback[i]) - wanted[i]).abs();
                assert!(error <= 1e-5 * largest, "{kind:?}, element {i}: off by {error}");
            }
        }
    }

    #[test]
    fn messages_are_as_small_as_said() {
        for (kind, bytes) in [
            (Compression::Half, 8 + 2 * 333),
            (Compression::TopK(0.1), 8 * 34),
            (Compression::TopK(1.0), 8 * 333),
            (Compression::OneBit, 8 + 42 + 8 + 1),
        ] {
            let mut compressor = started(Compress::new(kind), &layout());
            compressor.sync(&mut Solo, &mut gradient(1), &STEP).unwrap();
            assert_eq!(compressor.all.get(0).len(), bytes, "{kind:?}");
        }
    }

    #[test]
    fn each_keeps_what_it_says() {
        let sent = |kind, values: &[f64]| {
            let mut layout = Layout::new();
            layout.push("weight", &[values.len()], Initializer::Constant(0.0)).unwrap();
            let mut gradient = values.to_vec();
            started(Compress::new(kind), &layout).sync(&mut Solo, &mut gradient, &STEP).unwrap();
            gradient
        };
        assert_eq!(sent(Compression::TopK(0.4), &[1.0, -5.0, 2.0, -2.0, 0.0]), [0.0, -5.0, 2.0, 0.0, 0.0]);
        assert_eq!(sent(Compression::OneBit, &[1.0, -5.0, 3.0, -1.0, 0.0]), [2.0, -2.0, 2.0, -2.0, -2.0]);
        assert_eq!(sent(Compression::OneBit, &[0.0; 3]), [0.0; 3]);
        assert_eq!(sent(Compression::Half, &[0.0; 3]), [0.0; 3]);
        // Ten bits behind the first, however large or small all numbers are.
        for scale in [1e-30, 1.0, 1e30] {
            let values = [1.0, -0.7, 1e-3, 0.1].map(|x| x * scale);
            for (got, want) in sent(Compression::Half, &values).iter().zip(values) {
                assert!((got - want).abs() <= want.abs() / 2048.0, "{got}, not {want}");
            }
        }
    }
}
