use super::Schedule;
use crate::Error;
use crate::error::{at_least_one, expect, not_negative, positive};

impl Schedule {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// When one lies outside its domain.
    pub fn check(&self) -> Result<(), Error> {
        self.check_as(self.kind())
    }

    /// Checks the settings of a transform's schedule.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), with the transform named.
    pub fn check_for(&self, transform: &str) -> Result<(), Error> {
        match self {
            Self::Constant(_) => self.check_as(transform),
            _ => self.check_as(&format!("{transform}, {}", self.kind())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant schedule",
            Self::Step { .. } => "step schedule",
            Self::MultiStep { .. } => "multistep schedule",
            Self::PiecewiseConstant { .. } => "piecewise constant schedule",
            Self::Exponential { .. } => "exponential schedule",
            Self::ExponentialDecay { .. } => "exponential decay schedule",
            Self::Linear { .. } => "linear schedule",
            Self::Polynomial { .. } => "polynomial schedule",
            Self::WarmupLinear { .. } => "linear warm-up schedule",
            Self::Cosine { .. } => "cosine schedule",
            Self::CosineAnnealing { .. } => "cosine annealing schedule",
            Self::WarmupCosine { .. } => "warm-up cosine schedule",
            Self::OneCycle { .. } => "one-cycle schedule",
            Self::WarmRestarts { .. } => "warm restarts schedule",
            Self::InverseSqrt { .. } => "inverse square root schedule",
            Self::Function(_) => "schedule function",
        }
    }

    fn check_as(&self, owner: &str) -> Result<(), Error> {
        let rate = |name, value| not_negative(owner, name, value);
        let count = |name, value| at_least_one(owner, name, value);
        match *self {
            Self::Constant(lr) => rate("lr", lr),
            Self::Step { lr, step_size, gamma } => {
                rate("lr", lr)?;
                count("step_size", step_size)?;
                positive(owner, "gamma", gamma)
            }
            Self::MultiStep { lr, ref milestones, gamma } => {
                rate("lr", lr)?;
                increasing(owner, "milestones", milestones)?;
                positive(owner, "gamma", gamma)
            }
            Self::PiecewiseConstant { lr, ref boundaries, ref scales } => {
                rate("lr", lr)?;
                increasing(owner, "boundaries", boundaries)?;
                let fits = scales.len() == boundaries.len();
                expect(owner, "scales", scales.len() as f64, fits, format!("{} scales", boundaries.len()))?;
                scales.iter().try_for_each(|&scale| rate("scale", scale))
            }
            Self::Exponential { lr, gamma } => {
                rate("lr", lr)?;
                positive(owner, "gamma", gamma)
            }
            Self::ExponentialDecay { init, transition_steps, decay_rate, end, .. } => {
                rate("init", init)?;
                count("transition_steps", transition_steps)?;
                positive(owner, "decay_rate", decay_rate)?;
                rate("end", end.unwrap_or(0.0))
            }
            Self::Linear { init, end, steps } => {
                rate("init", init)?;
                rate("end", end)?;
                count("steps", steps)
            }
            Self::Polynomial { init, end, power, steps, .. } => {
                rate("init", init)?;
                rate("end", end)?;
                positive(owner, "power", power)?;
                count("steps", steps)
            }
            Self::WarmupLinear { lr, start_factor, steps } => {
                rate("lr", lr)?;
                let holds = (0.0..=1.0).contains(&start_factor);
                expect(owner, "start_factor", start_factor, holds, "0 <= start_factor <= 1")?;
                count("steps", steps)
            }
            Self::Cosine { init, steps, alpha } => {
                rate("init", init)?;
                count("steps", steps)?;
                rate("alpha", alpha)
            }
            Self::CosineAnnealing { lr, t_max, eta_min } => {
                rate("lr", lr)?;
                count("t_max", t_max)?;
                rate("eta_min", eta_min)
            }
            Self::WarmupCosine { init, peak, warmup_steps, decay_steps, end } => {
                rate("init", init)?;
                rate("peak", peak)?;
                rate("end", end)?;
                let expected = format!("decay_steps > warmup_steps, which is {warmup_steps}");
                expect(owner, "decay_steps", decay_steps as f64, decay_steps > warmup_steps, expected)
            }
            Self::OneCycle { .. } => self.check_one_cycle(owner),
            Self::WarmRestarts { lr, t_0, t_mult, eta_min } => {
                rate("lr", lr)?;
                count("t_0", t_0)?;
                count("t_mult", t_mult)?;
                rate("eta_min", eta_min)
            }
            Self::InverseSqrt { lr, warmup } => {
                rate("lr", lr)?;
                count("warmup", warmup)
            }
            Self::Function(_) => Ok(()),
        }
    }

    fn check_one_cycle(&self, owner: &str) -> Result<(), Error> {
        let Self::OneCycle { max_lr, total_steps, pct_start, div_factor, final_div_factor, three_phase, .. } = *self
        else {
            return Ok(());
        };
        not_negative(owner, "max_lr", max_lr)?;
        positive(owner, "div_factor", div_factor)?;
        positive(owner, "final_div_factor", final_div_factor)?;
        at_least_one(owner, "total_steps", total_steps)?;
        let n = total_steps as f64;
        // Every phase must have a length.
        let rise = pct_start * n - 1.0;
        let (fall, expected) = match three_phase {
            false => (rise, format!("1/{n} < pct_start < 1")),
            true => (2.0 * rise, format!("1/{n} < pct_start < {}/{}", n + 1.0, 2.0 * n)),
        };
        expect(owner, "pct_start", pct_start, rise > 0.0 && fall < n - 1.0, expected)
    }
}

fn increasing(owner: &str, name: &'static str, steps: &[u64]) -> Result<(), Error> {
    match steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(pair) => {
            expect(owner, name, pair[1] as f64, false, format!("{name} in increasing order, after {}", pair[0]))
        }
    }
}
