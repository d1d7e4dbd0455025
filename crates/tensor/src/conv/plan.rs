//! The sizes that all passes go by.

use std::ops::Range;

use crate::conv::sets::Kernels;
use crate::parts::parts;
use crate::{Convolution, Scalar};

/// The sizes of one group of a convolution.
pub(super) struct Plan<T: 'static> {
    pub kernels: &'static Kernels<T>,
    pub groups: usize,
    /// Channels and outputs of a group.
    pub channels: usize,
    pub outputs: usize,
    /// `[H, W]`, `[H', W']`, `[kh, kw]`.
    pub image: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

/// What a band of a panel may take.
const BAND_BYTES: usize = 16 * 1024;

/// Neighbouring rows of an output.
#[derive(Clone)]
pub(super) struct Band {
    pub rows: Range<usize>,
    /// The first of their places, and how many they are.
    pub start: usize,
    pub places: usize,
}

/// Neighbouring channels that are computed together.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// The first of them.
    pub start: usize,
    /// How many there are.
    pub count: usize,
    /// How many numbers they take, a whole number of registers.
    pub width: usize,
}

impl Convolution {
    /// `vectors` is what lies along the registers: outputs, or channels.
    ///
    /// # Panics
    ///
    /// When window, image and groups do not fit, or an image with its padding, an output or the weights have more numbers
    /// than an address space: the offsets of the kernels cannot overflow.
    pub(super) fn plan<T: Scalar>(&self, vectors: usize) -> Plan<T> {
        let Self { channels, outputs, groups, mut image, window } = *self;
        let mut output = window.output(image).unwrap_or_else(|error| panic!("convolution: {error}"));
        assert!(
            groups > 0 && channels.is_multiple_of(groups) && outputs.is_multiple_of(groups),
            "convolution: {channels} channels and {outputs} outputs in {groups} groups"
        );
        // Registers are filled up with zeros: room for sixteen more channels.
        let [padded_height, padded_width] = [0, 1].map(|i| image[i] + 2 * window.padding[i]);
        let most = channels.max(outputs).saturating_add(16);
        for sizes in [
            [padded_height, padded_width, most],
            [output[0], output[1], most],
            [
                window.kernel[0].saturating_mul(window.kernel[1]),
                channels.saturating_add(16),
                outputs.saturating_add(16),
            ],
        ] {
            let bytes = sizes.iter().try_fold(2 * size_of::<T>(), |bytes, &size| bytes.checked_mul(size));
            assert!(bytes.is_some_and(|b| b <= isize::MAX as usize), "convolution: {sizes:?} numbers are too many");
        }
        if window.kernel == [1, 1] && window.stride == [1, 1] && window.padding == [0, 0] {
            // Where pixels do not see each other, a row of them may be as long as the image.
            image = [1, image[0] * image[1]];
            output = image;
        }
        Plan {
            kernels: T::conv_kernels(vectors / groups),
            groups,
            channels: channels / groups,
            outputs: outputs / groups,
            image,
            output,
            kernel: window.kernel,
            // Along a side with one output, the stride means nothing; nor does the dilation where the kernel has one element.
            stride: [0, 1].map(|i| if output[i] == 1 { 1 } else { window.stride[i] }),
            padding: window.padding,
            dilation: [0, 1].map(|i| if window.kernel[i] == 1 { 1 } else { window.dilation[i] }),
        }
    }
}

impl<T: Scalar> Plan<T> {
    /// Pixels of an image, of an output, and elements of the window.
    pub fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    pub fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }

    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// What an output is summed over.
    pub fn depth(&self) -> usize {
        self.taps() * self.channels
    }

    /// `[H, W]` with padding.
    pub fn padded(&self) -> [usize; 2] {
        [0, 1].map(|i| self.image[i] + 2 * self.padding[i])
    }

    pub fn padded_pixels(&self) -> usize {
        self.padded().iter().product()
    }

    /// Pixels from one element of the window to the next one of the same row.
    pub fn tap_column(&self) -> usize {
        self.dilation[1]
    }

    /// Pixels from one element of the window to the next one below.
    pub fn tap_row(&self) -> usize {
        self.dilation[0] * self.padded()[1]
    }

    /// Pixels from one place of the window to the next one below.
    pub fn place_row(&self) -> usize {
        self.stride[0] * self.padded()[1]
    }

    /// Neighbouring elements of the window, with all channels, that lie one behind the other, as
    /// `(number of such runs in a row of the window, length)`.
    pub fn runs(&self) -> (usize, usize) {
        let columns = self.kernel[1];
        if self.dilation[1] == 1 { (1, columns * self.channels) } else { (columns, self.channels) }
    }

    /// Numbers that so many channels take, in whole registers.
    pub fn whole(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.kernels.lanes)
    }

    /// So many channels, as panels of two registers, the last one of one or two.
    pub fn panels(&self, channels: usize) -> impl Iterator<Item = Panel> + use<T> {
        let lanes = self.kernels.lanes;
        (0..channels).step_by(2 * lanes).map(move |start| {
            let count = (channels - start).min(2 * lanes);
            Panel { start, count, width: count.next_multiple_of(lanes) }
        })
    }

    /// The largest width of a panel of so many channels.
    pub fn panel_width(&self, channels: usize) -> usize {
        self.whole(channels).min(2 * self.kernels.lanes)
    }

    /// The rows of an output in bands, of each of which a panel stays in the first-level cache.
    pub fn bands(&self, channels: usize) -> impl Iterator<Item = Band> + Clone + use<T> {
        let columns = self.output[1];
        let line = columns * self.panel_width(channels) * size_of::<T>();
        parts(self.output[0], (BAND_BYTES / line).max(1)).map(move |(first, rows)| Band {
            rows: first..first + rows,
            start: first * columns,
            places: rows * columns,
        })
    }

    /// The most places that a band of a panel of so many channels has.
    pub fn band_places(&self, channels: usize) -> usize {
        self.bands(channels).map(|band| band.places).max().unwrap_or(0)
    }

    /// Panics when the lengths are not those of as many images.
    pub fn check(&self, x: usize, y: usize, weight: usize, bias: Option<usize>) {
        let (channels, outputs) = (self.groups * self.channels, self.groups * self.outputs);
        let rows = y / (outputs * self.places());
        assert!(
            x == rows * channels * self.pixels() && y == rows * outputs * self.places(),
            "convolution: {x} numbers into {y}"
        );
        assert_eq!(weight, outputs * self.depth(), "convolution: weights");
        assert_eq!(bias.unwrap_or(outputs), outputs, "convolution: biases");
    }
}
