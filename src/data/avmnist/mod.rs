//! AV-MNIST: images (x) and spoken digits (x').
mod greys;
mod spectrogram;
