//! Back-propagation through time over one segment, and the sum of gradients over a batch.
//!
//! Every sum has one fixed order, so that the same batch gives the same bits. What the gates get
//! from the embedding depends on the symbol alone, therefore its gradient is gathered per symbol
//! and multiplied out once a batch. Not here: which segments there are and how weights move
//! (`train`).

use super::lstm::{Cell, EMBED, GATES, HIDDEN, LANES, State, Weights, activate, add_scaled};
use super::lstm::{blocks, log_sum_exp};
use super::math;

/// What one step leaves behind for the way back.
#[derive(Clone, Debug)]
struct Step {
    symbol: usize,
    counted: bool,
    gates: [f32; GATES],
    before: State,
    after: State,
    squashed: [f32; HIDDEN],
    /// Softmax minus the one-hot target, in blocks.
    error: Vec<[f32; LANES]>,
}

/// Gathers gradients over a batch.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Gradients in the shape of the weights; complete after [`Gradient::finish`].
    pub sum: Weights,
    table: Vec<[f32; GATES]>,
    tape: Vec<Step>,
}

impl Gradient {
    /// Zero, for so many classes.
    pub fn new(classes: usize) -> Self {
        let table = vec![[0.0; GATES]; classes + 1];
        Self { sum: Weights::zeros(classes), table, tape: Vec::new() }
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        self.sum.parts_mut().into_iter().for_each(|p| p.fill(0.0));
        self.table.as_flattened_mut().fill(0.0);
    }

    /// Adds the gradient of one segment's summed surprise, and returns that sum. `inputs[t]` is fed
    /// before `targets[t]` is predicted; `None` is not counted.
    pub fn add(&mut self, cell: &Cell, inputs: &[usize], targets: &[Option<usize>]) -> f64 {
        let loss = self.forward(cell, inputs, targets);
        self.backward(cell, inputs.len());
        loss
    }

    fn forward(&mut self, cell: &Cell, inputs: &[usize], targets: &[Option<usize>]) -> f64 {
        let classes = cell.table.len() - 1;
        while self.tape.len() < inputs.len() {
            self.tape.push(Step {
                symbol: 0,
                counted: false,
                gates: [0.0; GATES],
                before: State::default(),
                after: State::default(),
                squashed: [0.0; HIDDEN],
                error: Vec::with_capacity(blocks(classes)),
            });
        }
        let (mut state, mut loss) = (State::default(), 0.0);
        for ((step, &symbol), target) in self.tape.iter_mut().zip(inputs).zip(targets) {
            step.symbol = symbol;
            step.before = state;
            let mut gates = cell.table[symbol];
            for (h, row) in state.hidden.iter().zip(&cell.recur) {
                add_scaled(&mut gates, *h, row);
            }
            activate(&mut gates);
            for j in 0..HIDDEN {
                let (i, f) = (gates[j], gates[HIDDEN + j]);
                let (g, o) = (gates[2 * HIDDEN + j], gates[3 * HIDDEN + j]);
                state.memory[j] = f * state.memory[j] + i * g;
                step.squashed[j] = math::tanh(state.memory[j]);
                state.hidden[j] = o * step.squashed[j];
            }
            step.gates = gates;
            step.after = state;
            step.counted = target.is_some();
            if let Some(class) = *target {
                cell.logits(&state, &mut step.error);
                let total = log_sum_exp(&step.error);
                loss += f64::from(total - step.error[class / LANES][class % LANES]);
                for x in step.error.as_flattened_mut() {
                    *x = math::exp(*x - total);
                }
                step.error[class / LANES][class % LANES] -= 1.0;
            }
        }
        loss
    }

    fn backward(&mut self, cell: &Cell, steps: usize) {
        let mut hidden = [0.0f32; HIDDEN];
        let mut memory = [0.0f32; HIDDEN];
        for step in self.tape[..steps].iter().rev() {
            if step.counted {
                through_output(&mut self.sum, cell, step, &mut hidden);
            }
            let mut gates = [0.0f32; GATES];
            for j in 0..HIDDEN {
                let (i, f) = (step.gates[j], step.gates[HIDDEN + j]);
                let (g, o) = (step.gates[2 * HIDDEN + j], step.gates[3 * HIDDEN + j]);
                let squashed = step.squashed[j];
                let c = memory[j] + hidden[j] * o * (1.0 - squashed * squashed);
                gates[j] = c * g * i * (1.0 - i);
                gates[HIDDEN + j] = c * step.before.memory[j] * f * (1.0 - f);
                gates[2 * HIDDEN + j] = c * i * (1.0 - g * g);
                gates[3 * HIDDEN + j] = hidden[j] * squashed * o * (1.0 - o);
                memory[j] = c * f;
            }
            add_scaled(&mut self.table[step.symbol], 1.0, &gates);
            for (k, h) in step.before.hidden.iter().enumerate() {
                add_scaled(&mut self.sum.recur[k], *h, &gates);
                hidden[k] = dot(&cell.recur[k], &gates);
            }
        }
    }

    /// Multiplies out what was gathered per symbol.
    pub fn finish(&mut self, weights: &Weights) {
        for (symbol, gates) in self.table.iter().enumerate() {
            add_scaled(&mut self.sum.bias[0], 1.0, gates);
            for k in 0..EMBED {
                add_scaled(&mut self.sum.input[k], weights.embed[symbol][k], gates);
                self.sum.embed[symbol][k] += dot(&weights.input[k], gates);
            }
        }
    }
}

/// Output layer: its own gradients, and what flows back into the hidden units.
fn through_output(sum: &mut Weights, cell: &Cell, step: &Step, hidden: &mut [f32; HIDDEN]) {
    const PARTS: usize = 4;
    let mut back = [[0.0f32; PARTS]; HIDDEN];
    for (b, (error, rows)) in step.error.iter().zip(&cell.out).enumerate() {
        add_scaled(&mut sum.out_bias[b], 1.0, error);
        let gradients = &mut sum.out[b * HIDDEN..(b + 1) * HIDDEN];
        for k in 0..HIDDEN {
            add_scaled(&mut gradients[k], step.after.hidden[k], error);
            for j in (0..LANES).step_by(PARTS) {
                for p in 0..PARTS {
                    back[k][p] += rows[k][j + p] * error[j + p];
                }
            }
        }
    }
    for (h, parts) in hidden.iter_mut().zip(&back) {
        *h += parts.iter().sum::<f32>();
    }
}

/// Σ a·b in eight lanes, then over the lanes.
#[inline(always)]
fn dot(a: &[f32; GATES], b: &[f32; GATES]) -> f32 {
    const PARTS: usize = 8;
    let mut parts = [0.0f32; PARTS];
    for j in (0..GATES).step_by(PARTS) {
        for p in 0..PARTS {
            parts[p] += a[j + p] * b[j + p];
        }
    }
    parts.iter().sum()
}
