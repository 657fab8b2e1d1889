//! One job in one slot: its shape, drawn from the keys, and the integral of that shape.

use std::f64::consts::TAU;

use super::{Kind, SLOT_S, SLOTS, Wave};
use crate::dice::Key;

/// Pauses at the end of each period of the steady phase: checkpoints, or waits for data.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    period: f64,
    width: f64,
    depth: f64,
}

impl Pauses {
    const NONE: Self = Self { period: SLOT_S, width: 0.0, depth: 0.0 };

    fn at(self, x: f64) -> f64 {
        if x % self.period >= self.period - self.width { self.depth } else { 0.0 }
    }

    fn integral(self, x: f64) -> f64 {
        let partial = (x % self.period - (self.period - self.width)).max(0.0);
        self.depth * ((x / self.period).floor() * self.width + partial)
    }
}

/// A job: a line through `points`, and in its steady phase pauses, waves and jitter. Times are seconds into the slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    points: [(f64, f64); 6],
    steady: (f64, f64),
    pauses: Pauses,
    waves: [Wave; 2],
    jitter: f64,
    noise: Key,
    memory: f64,
    /// A server's memory is there from the slot before.
    resident: bool,
}

impl Job {
    /// The job of a slot of the day, 0 to 47.
    pub(super) fn draw(kind: Kind, pod: Key, noise: Key, slot: u64) -> Self {
        let drawn = pod.of(slot);
        let noise = noise.of(slot);
        match kind {
            Kind::Idle => Self::nothing(noise),
            Kind::Serving => {
                Self::standing(pod, noise, [before(slot), slot].map(|slot| serving_level(pod, slot)))
            }
            Kind::Saturated | Kind::HeatBound => Self::saturated(pod, noise, slot),
            Kind::Training => Self::training(drawn, noise),
            Kind::Notebook => Self::notebook(drawn, noise),
            Kind::Batch => Self::batch(drawn, noise),
        }
    }

    fn saturated(pod: Key, noise: Key, slot: u64) -> Self {
        let levels = [before(slot), slot].map(|slot| pod.of(slot).range(8, 0.88, 0.95));
        let depth = levels[0].min(levels[1]) - 0.2;
        let pauses = Pauses { period: pod.range(1, 200.0, 400.0), width: pod.range(2, 8.0, 20.0), depth };
        Self { pauses, jitter: 0.02, ..Self::standing(pod, noise, levels).with_waves(noise, 0.02) }
    }

    fn training(drawn: Key, noise: Key) -> Self {
        let span = (drawn.range(3, 5.0, 120.0), drawn.range(4, 1380.0, 1700.0));
        let level = drawn.range(5, 0.93, 0.96);
        let pauses = Pauses {
            period: drawn.range(1, 200.0, 420.0),
            width: drawn.range(2, 12.0, 25.0),
            depth: level - 0.1,
        };
        let job = Self::bounded(noise, span, drawn.range(6, 40.0, 90.0), level).with_waves(noise, 0.02);
        Self { pauses, jitter: 0.02, memory: drawn.range(7, 0.72, 0.93), ..job }
    }

    fn notebook(drawn: Key, noise: Key) -> Self {
        let start = drawn.range(3, 5.0, 900.0);
        let span = (start, start + drawn.range(4, 240.0, 840.0));
        let level = drawn.range(5, 0.3, 0.6);
        let period = drawn.range(1, 60.0, 150.0);
        let pauses = Pauses { period, width: period * drawn.range(2, 0.3, 0.6), depth: level - 0.16 };
        let job = Self::bounded(noise, span, 6.0, level).with_waves(noise, 0.08);
        Self { pauses, jitter: 0.06, memory: drawn.range(7, 0.15, 0.5), ..job }
    }

    fn batch(drawn: Key, noise: Key) -> Self {
        let span = (drawn.range(3, 5.0, 300.0), drawn.range(4, 900.0, 1750.0));
        let level = drawn.range(5, 0.7, 0.88);
        let pauses = Pauses {
            period: drawn.range(1, 50.0, 130.0),
            width: drawn.range(2, 4.0, 9.0),
            depth: level - 0.15,
        };
        let job = Self::bounded(noise, span, 15.0, level).with_waves(noise, 0.05);
        Self { pauses, jitter: 0.05, memory: drawn.range(7, 0.4, 0.8), ..job }
    }

    fn nothing(noise: Key) -> Self {
        Self {
            points: [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (SLOT_S, 0.0)],
            steady: (0.0, 0.0),
            pauses: Pauses::NONE,
            waves: [Wave { amplitude: 0.0, period: 1.0, phase: 0.0 }; 2],
            jitter: 0.0,
            noise,
            memory: 0.0,
            resident: false,
        }
    }

    /// A job that starts and ends within the slot.
    fn bounded(noise: Key, (start, end): (f64, f64), ramp: f64, level: f64) -> Self {
        let steady = (start + ramp, end);
        let points =
            [(0.0, 0.0), (start, 0.0), (start + ramp, level), (end, level), (end + 4.0, 0.0), (SLOT_S, 0.0)];
        Self { points, steady, ..Self::nothing(noise) }
    }

    /// A job that was there before the slot and goes on after it: two minutes from the one level to the other.
    fn standing(pod: Key, noise: Key, [from, to]: [f64; 2]) -> Self {
        let points = [(0.0, from), (120.0, to), (SLOT_S, to), (SLOT_S, to), (SLOT_S, to), (SLOT_S, to)];
        let memory = pod.range(7, 0.72, 0.88);
        let job = Self { points, steady: (0.0, SLOT_S), memory, resident: true, ..Self::nothing(noise) };
        Self { jitter: 0.06, ..job.with_waves(noise, 0.08) }
    }

    fn with_waves(self, noise: Key, amplitude: f64) -> Self {
        let wave = |salt, low, high| Wave {
            amplitude: amplitude / 2.0,
            period: noise.range(salt, low, high),
            phase: noise.range(salt + 1, 0.0, TAU),
        };
        Self { waves: [wave(10, 90.0, 240.0), wave(20, 11.0, 37.0)], ..self }
    }

    /// Activity at `x` seconds; 0 to 1.
    pub(super) fn activity(&self, x: f64) -> f64 {
        let line = self.segments().find(|(a, b)| x < b.0 && b.0 > a.0).map_or(0.0, |(a, b)| height(a, b, x));
        if x < self.steady.0 || x >= self.steady.1 {
            return line;
        }
        let x = x - self.steady.0;
        line - self.pauses.at(x)
            + self.waves.iter().map(|wave| wave.at(x)).sum::<f64>()
            + self.jitter * self.noise.jitter(x)
    }

    /// The integral of [`Job::activity`] from 0 to `x` seconds.
    pub(super) fn integral(&self, x: f64) -> f64 {
        let lines: f64 =
            self.segments().filter(|(a, b)| b.0 > a.0 && x > a.0).map(|(a, b)| area(a, b, x)).sum();
        let x = x.clamp(self.steady.0, self.steady.1) - self.steady.0;
        lines - self.pauses.integral(x)
            + self.waves.iter().map(|wave| wave.integral(x)).sum::<f64>()
            + self.jitter * self.noise.jitter_integral(x)
    }

    /// Share of the framebuffer at `x` seconds: a part when the process starts, the rest when it works.
    pub(super) fn memory(&self, x: f64) -> f64 {
        let [_, (start, _), .., (end, _), _] = self.points;
        match () {
            () if self.resident => self.memory,
            () if x < start || x >= end => 0.0,
            () if x < self.steady.0 => 0.35 * self.memory,
            () => self.memory,
        }
    }

    fn segments(&self) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
        self.points.into_iter().zip(self.points.into_iter().skip(1))
    }
}

fn before(slot: u64) -> u64 {
    (slot + SLOTS - 1) % SLOTS
}

/// A server's load: low at night, high by day, another each slot. 0.25 to 0.85.
fn serving_level(pod: Key, slot: u64) -> f64 {
    let daylight = 0.5 - 0.5 * (TAU * slot as f64 / SLOTS as f64).cos();
    0.25 + 0.35 * daylight + pod.of(slot).range(8, 0.0, 0.25)
}

fn height(a: (f64, f64), b: (f64, f64), x: f64) -> f64 {
    a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0)
}

/// The area under the line from `a` to `x`, or to `b` where that comes first.
fn area(a: (f64, f64), b: (f64, f64), x: f64) -> f64 {
    let x = x.min(b.0);
    (a.1 + height(a, b, x)) / 2.0 * (x - a.0)
}
