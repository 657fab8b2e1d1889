//! Load over time, with its integral in closed form: job phases, waves, checkpoints and jitter.
//!
//! A day is cut into 48 slots of 30 minutes; a slot holds one job, drawn from the pod's key. The next day repeats it,
//! so that the integral since any date costs one day. Each part of a job (straight ramps, boxes, sines, a telescoping
//! jitter) has a known integral, so energy never has to be summed up second by second.

use std::f64::consts::TAU;

use crate::dice::Key;
use crate::workload::job::Job;

mod job;

const SLOT_MS: u64 = 1_800_000;
const SLOTS: u64 = 48;
const DAY_MS: u64 = SLOTS * SLOT_MS;
/// Length of a slot in seconds.
const SLOT_S: f64 = 1_800.0;

/// The pattern of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing runs.
    Idle,
    /// See [`crate::tenancy::Role::Serving`].
    Serving,
    /// See [`crate::tenancy::Role::Training`].
    Training,
    /// See [`crate::tenancy::Role::Notebook`].
    Notebook,
    /// See [`crate::tenancy::Role::Batch`].
    Batch,
    /// Busy all day, at the power cap.
    Saturated,
    /// Busy all day, with less power than the cap and still too hot.
    HeatBound,
}

impl Kind {
    /// Power that full activity draws, as a share of what lies between idle and the limit; in (0, 1].
    pub(crate) fn intensity(self) -> f64 {
        match self {
            Self::Training | Self::Saturated => 1.0,
            Self::Batch => 0.95,
            Self::HeatBound => 0.92,
            Self::Serving => 0.85,
            Self::Notebook => 0.7,
            Self::Idle => 0.0,
        }
    }

    /// Power that full activity would draw at full clock, in the same unit: above 1 the power cap acts.
    pub(crate) fn demand(self) -> f64 {
        match self {
            Self::Training | Self::Saturated => 1.12,
            Self::Idle | Self::Serving | Self::Notebook | Self::Batch | Self::HeatBound => self.intensity(),
        }
    }
}

/// The load of one GPU or instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    kind: Kind,
    pod: Key,
    noise: Key,
    phase_ms: u64,
}

impl Workload {
    /// `pod` draws the jobs, shared by the GPUs of a pod; `noise` is the GPU's own.
    pub(crate) fn new(kind: Kind, pod: Key, noise: Key) -> Self {
        Self { kind, pod, noise, phase_ms: pod.bits(90) % SLOT_MS }
    }

    /// Its pattern.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Share of the time in which a kernel runs, at `t_ms` (Unix milliseconds); 0 to 1, exactly 0 between jobs.
    pub(crate) fn activity(&self, t_ms: u64) -> f64 {
        let (slot, x) = self.place(t_ms);
        self.job(slot).activity(x)
    }

    /// Share of the framebuffer that the job of `t_ms` holds; 0 to 1, above 0 whenever the activity is.
    pub(crate) fn memory(&self, t_ms: u64) -> f64 {
        let (slot, x) = self.place(t_ms);
        self.job(slot).memory(x)
    }

    /// The integral of [`Workload::activity`] from `from_ms` to `to_ms`, in seconds; 0 where they are not in order.
    pub(crate) fn integral(&self, from_ms: u64, to_ms: u64) -> f64 {
        if self.kind == Kind::Idle || to_ms <= from_ms {
            return 0.0;
        }
        let days = (to_ms - from_ms) / DAY_MS;
        let whole = if days == 0 { 0.0 } else { days as f64 * self.day_integral() };
        whole + self.walk(from_ms + days * DAY_MS, to_ms)
    }

    fn walk(&self, from_ms: u64, to_ms: u64) -> f64 {
        let ((first, from), (last, to)) = (self.place(from_ms), self.place(to_ms));
        let head = self.job(first);
        if first == last {
            return head.integral(to) - head.integral(from);
        }
        let between: f64 = (first + 1..last).map(|slot| self.job(slot).integral(SLOT_S)).sum();
        head.integral(SLOT_S) - head.integral(from) + between + self.job(last).integral(to)
    }

    fn day_integral(&self) -> f64 {
        (0..SLOTS).map(|slot| self.job(slot).integral(SLOT_S)).sum()
    }

    fn job(&self, slot: u64) -> Job {
        Job::draw(self.kind, self.pod, self.noise, slot % SLOTS)
    }

    /// The slot of a time, counted from 1970, and the seconds into it.
    fn place(&self, t_ms: u64) -> (u64, f64) {
        let local = t_ms.saturating_add(self.phase_ms);
        (local / SLOT_MS, (local % SLOT_MS) as f64 / 1000.0)
    }
}

/// A sine of `amplitude`, `period` seconds and `phase` radians.
#[derive(Debug, Clone, Copy)]
struct Wave {
    amplitude: f64,
    period: f64,
    phase: f64,
}

impl Wave {
    fn at(self, x: f64) -> f64 {
        self.amplitude * (TAU * x / self.period + self.phase).sin()
    }

    fn integral(self, x: f64) -> f64 {
        let angle = TAU * x / self.period + self.phase;
        self.amplitude * self.period / TAU * (self.phase.cos() - angle.cos())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kind; 7] = [
        Kind::Idle,
        Kind::Serving,
        Kind::Training,
        Kind::Notebook,
        Kind::Batch,
        Kind::Saturated,
        Kind::HeatBound,
    ];

    fn workload(kind: Kind, seed: u64) -> Workload {
        Workload::new(kind, Key::root(seed).of(1), Key::root(seed).of(2))
    }

    prop_compose! {
        fn any_workload()(kind in prop::sample::select(&KINDS[..]), seed: u64) -> Workload {
            workload(kind, seed)
        }
    }

    proptest! {
        #[test]
        fn activity_is_a_share_and_needs_memory(load in any_workload(), t in 0_u64..4_000_000_000_000) {
            let (activity, memory) = (load.activity(t), load.memory(t));
            prop_assert!((0.0..=1.0).contains(&activity), "{activity}");
            prop_assert!((0.0..=0.95).contains(&memory), "{memory}");
            prop_assert!(activity == 0.0 || memory > 0.0);
        }

        #[test]
        fn the_integral_is_the_sum_of_the_activity(
            load in any_workload(),
            from in 1_700_000_000_000_u64..2_000_000_000_000,
            seconds in 1_u64..4_000,
        ) {
            let fine = 20;
            let sum: f64 = (0..seconds * fine)
                .map(|i| load.activity(from + i * 1000 / fine + 500 / fine) / fine as f64)
                .sum();
            let exact = load.integral(from, from + seconds * 1000);
            // Edges of checkpoints fall between the points of the sum.
            prop_assert!((exact - sum).abs() < 1.0 + 0.001 * sum, "{exact} {sum}");
        }

        #[test]
        fn integrals_add_up(load in any_workload(), from: u32, a in 0_u64..200_000_000, b in 0_u64..200_000_000) {
            let from = u64::from(from);
            let whole = load.integral(from, from + a + b);
            let parts = load.integral(from, from + a) + load.integral(from + a, from + a + b);
            prop_assert!((whole - parts).abs() < 1e-6 * (1.0 + whole));
        }
    }

    #[test]
    fn training_works_saves_and_rests() {
        let load = workload(Kind::Training, 3);
        let day: Vec<f64> = (0..86_400).map(|s| load.activity(s * 1000)).collect();
        let share = |is: fn(f64) -> bool| day.iter().filter(|a| is(**a)).count() as f64 / 86_400.0;
        assert!(share(|a| a > 0.85) > 0.6, "works");
        assert!((0.01..0.15).contains(&share(|a| a > 0.0 && a < 0.2)), "checkpoints");
        assert!((0.05..0.35).contains(&share(|a| a == 0.0)), "rests between jobs");
    }
}
