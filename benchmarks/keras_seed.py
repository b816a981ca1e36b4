"""The seed's recipe as it stands, in Keras on torch: `python -m benchmarks.keras_seed --data data/mnist`.

The same two networks, binary cross-entropy, adadelta, batches of 128, and for the conv autoencoder noise of 0.5 that
is drawn once. Adadelta at Keras' rate of today, 0.001, and at 1.0, which was its rate when the recipe was written. It
needs `pip install keras` beside torch; its figures are committed in results/keras.json, so that nothing else does.
"""

import argparse
import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers

from aeinfer import InputError
from aeinfer.cli.options import whole
from benchmarks import options, results
from benchmarks.noisy import rounded
from train.evaluate import SIGMA, mean_psnr, noisy_digits, read_both

keras.config.set_image_data_format("channels_first")  # the same network, and half the time in torch
RATES = (1.0, 0.001)
SEED = 0


def dense() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(784, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(784, activation="sigmoid"),
        ]
    )


def conv() -> keras.Model:
    model = keras.Sequential([keras.Input((1, 28, 28))])
    for width in (128, 64, 16, 16):
        model.add(layers.Conv2D(width, (3, 3), activation="relu", padding="same"))
        model.add(layers.MaxPooling2D((2, 2), padding="same"))
    for width in (16, 16, 64, 128):
        model.add(layers.Conv2D(width, (3, 3), activation="relu", padding="valid" if width == 128 else "same"))
        model.add(layers.UpSampling2D((2, 2)))
    model.add(layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same"))
    return model


def train(model: keras.Model, noisy: np.ndarray, clean: np.ndarray, rate: float, epochs: int) -> float:
    """Fit as the seed does, and return the seconds it took."""
    model.compile(optimizer=keras.optimizers.Adadelta(rate), loss="binary_crossentropy")
    shape = (-1, *model.input_shape[1:])
    begin = time.monotonic()
    model.fit(noisy.reshape(shape), clean.reshape(shape), epochs=epochs, batch_size=128, shuffle=True, verbose=2)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keras_seed", description=__doc__)
    options.add_digits(parser)
    parser.add_argument("--epochs", type=whole(1), default=6)
    args = parser.parse_args()
    try:
        train_digits, clean, _labels = read_both(args.data)
    except InputError as error:
        parser.exit(2, f"keras_seed: {error}\n")
    keras.utils.set_random_seed(SEED)
    drawn = np.random.default_rng(SEED).normal(scale=0.5, size=train_digits.shape).astype(np.float32)
    noisy = noisy_digits(clean, SIGMA)
    inputs = {"clean": clean, "float": noisy, "8-bit": rounded(noisy)}
    rows = []
    for build, given in ((dense, train_digits), (conv, train_digits + drawn)):
        for rate in RATES:
            model = build()
            seconds = train(model, given, train_digits, rate, args.epochs)
            row = {"method": f"Keras {build.__name__}, adadelta {rate:g}", "epochs": args.epochs}
            row |= {"seconds": round(seconds), "parameters": model.count_params()}
            for shown, images in inputs.items():
                output = model.predict(images.reshape(-1, *model.input_shape[1:]), batch_size=500, verbose=0)
                row[shown] = round(mean_psnr(output.reshape(clean.shape), clean), 2)
            rows.append(row)
            results.save("keras", rows)


if __name__ == "__main__":
    main()
