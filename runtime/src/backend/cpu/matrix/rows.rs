//! Left factors: where the words of a row are.

use super::tile::{ROWS, Step};

/// Rows of words that a product reads tile by tile.
pub trait Rows: Sync {
    /// How many.
    fn count(&self) -> usize;

    /// Writes the words from `begin` on of the `tall` rows from `first` on, as many as `goal` has steps: the word of
    /// row `first` + r at step k to `goal[k][r]`.
    fn fill(&self, first: usize, tall: usize, begin: usize, goal: &mut [Step<ROWS>]);
}

/// A matrix, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    words: &'a [u64],
    length: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `length` words.
    pub fn new(words: &'a [u64], length: usize) -> Matrix<'a> {
        Matrix { words, length }
    }
}

impl Rows for Matrix<'_> {
    fn count(&self) -> usize {
        self.words.len().checked_div(self.length).unwrap_or(0)
    }

    fn fill(&self, first: usize, tall: usize, begin: usize, goal: &mut [Step<ROWS>]) {
        let steps = goal.len();
        let row = |index: usize| &self.words[(first + index) * self.length + begin..][..steps];
        if tall == ROWS {
            let rows: [&[u64]; ROWS] = std::array::from_fn(row);
            for (step, goal) in goal.iter_mut().enumerate() {
                goal.0 = std::array::from_fn(|index| rows[index][step]);
            }
            return;
        }
        for index in 0..tall {
            goal.iter_mut().zip(row(index)).for_each(|(goal, &word)| goal.0[index] = word);
        }
    }
}

/// The windows of an image as rows, never stored: row p has, channel by channel and tap by tap, the words that output
/// position p reads; words outside the image are zero.
#[derive(Clone, Copy, Debug)]
pub struct Patches<'a> {
    /// [channels, height, width].
    pub image: &'a [u64],
    /// Height and width of the image.
    pub input: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Steps of the window, by axis.
    pub strides: [usize; 2],
    /// Steps within the window, by axis.
    pub dilations: [usize; 2],
    /// Zeros before the image, by axis.
    pub padding: [usize; 2],
}

impl Patches<'_> {
    /// Where the window of a position starts, padding included.
    fn corner(&self, position: usize) -> [usize; 2] {
        [position / self.output[1] * self.strides[0], position % self.output[1] * self.strides[1]]
    }

    fn inside(&self, axis: usize, place: usize) -> Option<usize> {
        place.checked_sub(self.padding[axis]).filter(|&place| place < self.input[axis])
    }
}

impl Rows for Patches<'_> {
    fn count(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn fill(&self, first: usize, tall: usize, begin: usize, goal: &mut [Step<ROWS>]) {
        let [height, width] = self.input;
        let taps = self.kernel[0] * self.kernel[1];
        let corners: [[usize; 2]; ROWS] = std::array::from_fn(|index| self.corner(first + index.min(tall - 1)));
        // Eight positions side by side read eight words side by side.
        let aligned = tall == ROWS && self.strides[1] == 1 && corners.iter().all(|corner| corner[0] == corners[0][0]);
        let (mut channel, mut y, mut x) = (begin / taps, begin % taps / self.kernel[1], begin % self.kernel[1]);
        for Step(goal) in goal {
            let image = &self.image[channel * height * width..][..height * width];
            let (down, right) = (y * self.dilations[0], x * self.dilations[1]);
            let start = (corners[0][1] + right).checked_sub(self.padding[1]).filter(|start| start + ROWS <= width);
            let line = self.inside(0, corners[0][0] + down);
            match (aligned, line, start) {
                (true, None, _) => *goal = [0; ROWS],
                (true, Some(line), Some(start)) => goal.copy_from_slice(&image[line * width + start..][..ROWS]),
                _ => {
                    for (goal, corner) in goal.iter_mut().zip(&corners).take(tall) {
                        let place = (self.inside(0, corner[0] + down), self.inside(1, corner[1] + right));
                        *goal = if let (Some(line), Some(column)) = place { image[line * width + column] } else { 0 };
                    }
                }
            }
            x += 1;
            if x == self.kernel[1] {
                x = 0;
                y += 1;
                if y == self.kernel[0] {
                    y = 0;
                    channel += 1;
                }
            }
        }
    }
}
