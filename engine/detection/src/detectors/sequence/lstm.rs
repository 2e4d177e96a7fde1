//! The network: an embedding, one LSTM layer (Hochreiter, Schmidhuber 1997, with the forget gate of
//! Gers, Schmidhuber, Cummins 2000) and a softmax over the classes of the next token.
//!
//! [`Weights`] is what is trained and stored; [`Cell`] is the same network laid out for scoring,
//! where the product of an embedding with the gates is a table. How it learns is in `train` and
//! `gradient`.

use super::math;

/// Numbers in a token's embedding.
pub const EMBED: usize = 16;

/// Hidden units. 16 score nearly as well as 64 on log sessions, and a step stays near a
/// microsecond.
pub const HIDDEN: usize = 16;

/// Gate pre-activations: input, forget, candidate, output, each of [`HIDDEN`].
pub const GATES: usize = 4 * HIDDEN;

/// Classes are laid out in blocks of so many, so that one loop over a block fills vector registers.
pub const LANES: usize = 16;

/// The output bias of classes that only fill up the last block: their probability is 0.
pub const FILLER_BIAS: f32 = -1e4;

/// The parameters, or gradients, or moments of them. Matrices are stored by input: row `k` holds
/// what input `k` adds to every output.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Symbol to embedding; symbols are the classes, then the start symbol.
    pub embed: Vec<[f32; EMBED]>,
    /// Embedding to gates, `EMBED` rows.
    pub input: Vec<[f32; GATES]>,
    /// Hidden to gates, `HIDDEN` rows.
    pub recur: Vec<[f32; GATES]>,
    /// Gate biases, one row.
    pub bias: Vec<[f32; GATES]>,
    /// Output biases, a row a block.
    pub out_bias: Vec<[f32; LANES]>,
    /// Hidden to classes, `HIDDEN` rows a block.
    pub out: Vec<[f32; LANES]>,
}

/// Blocks that hold so many classes.
pub const fn blocks(classes: usize) -> usize {
    classes.div_ceil(LANES)
}

impl Weights {
    /// All zero, for so many classes.
    pub fn zeros(classes: usize) -> Self {
        Self {
            embed: vec![[0.0; EMBED]; classes + 1],
            input: vec![[0.0; GATES]; EMBED],
            recur: vec![[0.0; GATES]; HIDDEN],
            bias: vec![[0.0; GATES]; 1],
            out_bias: vec![[0.0; LANES]; blocks(classes)],
            out: vec![[0.0; LANES]; blocks(classes) * HIDDEN],
        }
    }

    /// The parts one after another, always in this order.
    pub fn parts(&self) -> [&[f32]; 6] {
        [
            self.embed.as_flattened(),
            self.input.as_flattened(),
            self.recur.as_flattened(),
            self.bias.as_flattened(),
            self.out_bias.as_flattened(),
            self.out.as_flattened(),
        ]
    }

    /// The parts for change, in the order of [`Weights::parts`].
    pub fn parts_mut(&mut self) -> [&mut [f32]; 6] {
        [
            self.embed.as_flattened_mut(),
            self.input.as_flattened_mut(),
            self.recur.as_flattened_mut(),
            self.bias.as_flattened_mut(),
            self.out_bias.as_flattened_mut(),
            self.out.as_flattened_mut(),
        ]
    }

    /// All numbers in the order of [`Weights::parts`].
    pub fn to_flat(&self) -> Vec<f32> {
        self.parts().concat()
    }

    /// The weights of [`Weights::to_flat`]; `None` when the count is wrong or a number is not
    /// finite.
    pub fn from_flat(classes: usize, flat: &[f32]) -> Option<Self> {
        let mut weights = Self::zeros(classes);
        let total: usize = weights.parts().iter().map(|p| p.len()).sum();
        if total != flat.len() || !flat.iter().all(|x| x.is_finite()) {
            return None;
        }
        let mut rest = flat;
        for part in weights.parts_mut() {
            let (head, tail) = rest.split_at(part.len());
            part.copy_from_slice(head);
            rest = tail;
        }
        Some(weights)
    }

    /// What a symbol adds to the gates: bias + embedding · input matrix.
    pub fn gates_of(&self, symbol: usize) -> [f32; GATES] {
        let mut gates = self.bias[0];
        for (x, row) in self.embed[symbol].iter().zip(&self.input) {
            add_scaled(&mut gates, *x, row);
        }
        gates
    }
}

/// `to += scale · row`.
#[inline(always)]
pub fn add_scaled<const N: usize>(to: &mut [f32; N], scale: f32, row: &[f32; N]) {
    for j in 0..N {
        to[j] += scale * row[j];
    }
}

/// What the network remembers between tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Hidden output.
    pub hidden: [f32; HIDDEN],
    /// Cell memory.
    pub memory: [f32; HIDDEN],
}

/// The network laid out for scoring.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What each symbol adds to the gates.
    pub(super) table: Vec<[f32; GATES]>,
    /// Hidden to gates.
    pub(super) recur: [[f32; GATES]; HIDDEN],
    /// Hidden to classes, by block.
    pub(super) out: Vec<[[f32; LANES]; HIDDEN]>,
    out_bias: Vec<[f32; LANES]>,
    first: State,
}

impl Cell {
    /// Lays out the weights; `classes` of them are real.
    pub fn new(weights: &Weights, classes: usize) -> Self {
        let mut recur = [[0.0; GATES]; HIDDEN];
        recur.copy_from_slice(&weights.recur);
        let (out, _) = weights.out.as_chunks::<HIDDEN>();
        let mut cell = Self {
            table: (0..weights.embed.len()).map(|s| weights.gates_of(s)).collect(),
            recur,
            out_bias: weights.out_bias.clone(),
            out: out.to_vec(),
            first: State::default(),
        };
        let mut first = State::default();
        cell.step(classes, &mut first);
        cell.first = first;
        cell
    }

    /// The state after the start symbol alone.
    pub fn first(&self) -> State {
        self.first
    }

    /// Feeds one symbol.
    #[inline]
    pub fn step(&self, symbol: usize, state: &mut State) {
        let mut gates = self.table[symbol];
        for (h, row) in state.hidden.iter().zip(&self.recur) {
            add_scaled(&mut gates, *h, row);
        }
        activate(&mut gates);
        for j in 0..HIDDEN {
            let (i, f) = (gates[j], gates[HIDDEN + j]);
            let (g, o) = (gates[2 * HIDDEN + j], gates[3 * HIDDEN + j]);
            state.memory[j] = f * state.memory[j] + i * g;
            state.hidden[j] = o * math::tanh(state.memory[j]);
        }
    }

    /// The logits of all classes, in blocks; `logits` is scratch and is overwritten.
    #[inline]
    pub fn logits(&self, state: &State, logits: &mut Vec<[f32; LANES]>) {
        logits.clear();
        logits.extend(self.out_bias.iter().zip(&self.out).map(|(bias, rows)| {
            let mut block = *bias;
            for (h, row) in state.hidden.iter().zip(rows) {
                add_scaled(&mut block, *h, row);
            }
            block
        }));
    }

    /// −ln of the probability that `class` comes next.
    #[inline]
    pub fn surprise(&self, state: &State, class: usize, logits: &mut Vec<[f32; LANES]>) -> f32 {
        self.logits(state, logits);
        log_sum_exp(logits) - logits[class / LANES][class % LANES]
    }
}

/// Sigmoid on the input, forget and output gates, tanh on the candidate.
#[inline(always)]
pub fn activate(gates: &mut [f32; GATES]) {
    for g in &mut gates[..2 * HIDDEN] {
        *g = math::sigmoid(*g);
    }
    for g in &mut gates[2 * HIDDEN..3 * HIDDEN] {
        *g = math::tanh(*g);
    }
    for g in &mut gates[3 * HIDDEN..] {
        *g = math::sigmoid(*g);
    }
}

/// ln Σ e^logit, summed lane by lane and then over the lanes, always in this order.
#[inline]
pub fn log_sum_exp(logits: &[[f32; LANES]]) -> f32 {
    let mut most = [FILLER_BIAS; LANES];
    for block in logits {
        for j in 0..LANES {
            most[j] = if block[j] > most[j] { block[j] } else { most[j] };
        }
    }
    let most = most.iter().fold(FILLER_BIAS, |a, &b| if b > a { b } else { a });
    let mut sums = [0.0f32; LANES];
    for block in logits {
        for j in 0..LANES {
            sums[j] += math::exp(block[j] - most);
        }
    }
    most + math::ln(sums.iter().sum())
}
