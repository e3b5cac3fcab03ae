"""gj.keras.datasets: data sets that lie on this machine; nothing is fetched."""

from graphjit.nn.datasets import digits, fashion_mnist, mnist
