"""What a backbone costs on a machine: speed, memory, time and disk, measured or scaled."""

from dataclasses import dataclass
from typing import Literal

from tagkin.backbones.catalogue import BACKBONES
from tagkin.machine import Machine
from tagkin.recommending.ratios import BackboneRatios, Line, Ratios, shipped_ratios
from tagkin.recommending.stored import Measurement, Measurements

#: How a figure was come by: a run on this machine; such a run at another image size; the shipped
#: table, scaled by what this machine did; the same, scaled by what is known of such processors.
Source = Literal["measured", "other size", "ratios", "guess"]

#: Batches of phase 2 to choose from, the largest first.
TUNE_BATCHES = (16, 8, 4, 2, 1)

_EPOCHS_1 = 30  # that phase 1 usually takes
_VECTOR_BYTES = 2
# Many cores share memory and heat, and don't run as fast each as two of them do.
_FEW_CORES, _SHARE_OF_MANY = 8, 0.75
_AHEAD = 8  # decoded images that wait for the network, for each thread; see tagkin.parallel
_COPIES_DECODED = 3  # of an image while it is decoded: as read, as RGB, as fitted
# Of TensorFlow, scikit-learn and what else phase 1 imports.
_TRAINING_BYTES = 0.75e9


@dataclass(frozen=True)
class Rate:
    """Images per second from files to stored vectors, one view of each, and how it is known."""

    images_per_second: float
    source: Source


class CostModel:
    """Costs on one machine."""

    def __init__(
        self, machine: Machine, measured: Measurements | None = None, ratios: Ratios | None = None
    ) -> None:
        """Takes what is known.

        Args:
            machine: Which machine.
            measured: What was measured on it.
            ratios: The shipped table if None.
        """
        self.machine = machine
        self.measured = measured or Measurements()
        self.ratios = ratios or shipped_ratios()
        self.precision = self._precision()

    @property
    def requests(self) -> int:
        """Images that the network works on at once; as many as there are cores where unknown."""
        return self.measured.requests or self.machine.cores

    def rate(self, architecture: str, image_size: int) -> Rate:
        """Returns the speed of ``embed``."""
        row = self._measurement(architecture, image_size)
        if row and row.image_size == image_size:
            return Rate(row.images_per_second, "measured")
        table = self.ratios
        if row:
            rest = 1 / row.images_per_second - 1 / row.in_memory
            area = (image_size / row.image_size) ** 2
            return Rate(1 / (area / row.in_memory + max(rest, 0.0)), "other size")
        backbone = table.backbones[architecture]
        area = backbone.area(image_size)
        network = area / (self._speed() * self._network_rate(backbone))
        rest = self._decode_seconds(image_size) / self.machine.cores + table.overhead_seconds
        return Rate(1 / (network + rest), "ratios" if self._is_anchored else "guess")

    def embed_memory(self, architecture: str, image_size: int, batch: int = 1) -> float:
        """Returns the peak resident memory of ``embed`` in bytes.

        Args:
            architecture: Name of the backbone.
            image_size: Pixels a side.
            batch: Images a request, of which several are under way.
        """
        backbone = self.ratios.backbones[architecture]
        line = self._line(backbone)
        row = self._measurement(architecture, image_size)
        area = backbone.area(image_size)
        fixed = line.fixed + self._more_threads(image_size)
        if row:
            own = backbone.area(row.image_size)
            fixed = row.resident - line.per_image * row.requests * own
        requests = row.requests if row else self.requests
        return Line(fixed, line.per_image).at(requests * batch, area)

    def addresses(self, architecture: str, image_size: int, resident: float) -> float:
        """Returns the addresses that ``embed`` reserves, which ``ulimit -v`` limits, in bytes.

        Args:
            architecture: Name of the backbone.
            image_size: Pixels a side.
            resident: Its peak memory.
        """
        row = self._measurement(architecture, image_size)
        if row:
            return row.addresses + max(0.0, resident - row.resident)
        return resident + self.ratios.address_overhead

    def first_memory(self, architecture: str, image_size: int, *, exported: bool) -> float:
        """Returns the peak of the first run, which chooses precision and batch, in bytes.

        Args:
            architecture: Name of the backbone.
            image_size: Pixels a side.
            exported: Whether the graph is in the cache, so that Keras isn't needed.
        """
        backbone = self.ratios.backbones[architecture]
        area = backbone.area(image_size)
        peak = self.embed_memory(architecture, image_size)
        if backbone.first:
            # It has two graphs in memory, one of them with batches of 8.
            more = backbone.first + self._line(backbone).per_image * 8 * self.requests * area
            peak = max(peak, more - self._line(backbone).per_image * 8 * self.ratios.requests)
        if not exported and backbone.export:
            peak = max(peak, backbone.export)
        return peak

    def fine_tune_memory(self, architecture: str, image_size: int, batch: int) -> float | None:
        """Returns the peak of phase 2 in bytes; None where it was not measured."""
        backbone = self.ratios.backbones[architecture]
        area = backbone.area(image_size)
        return backbone.fine_tune.at(batch, area) if backbone.fine_tune else None

    def head_memory(self, images: int, dimension: int) -> float:
        """Returns the peak of phase 1 in bytes: all vectors twice, beside the program."""
        return _TRAINING_BYTES + 2 * _VECTOR_BYTES * images * dimension

    def embed_seconds(
        self, architecture: str, image_size: int, images: int, views: int = 1
    ) -> float:
        """Returns the time of ``embed``."""
        return images * views / self.rate(architecture, image_size).images_per_second

    def head_seconds(self, images: int, epochs: int = _EPOCHS_1) -> float:
        """Returns the time of phase 1, without the embedding.

        Args:
            images: That are learned from.
            epochs: Of training.
        """
        share = min(self.machine.cores / self.ratios.cores, 2.0)  # small steps hardly spread
        return images * epochs * self.ratios.head_seconds / share

    def fine_tune_seconds(
        self, architecture: str, image_size: int, images: int, views: int, epochs: int
    ) -> float | None:
        """Returns the time of phase 2: frozen layers, epochs, and the embedding that follows.

        Args:
            architecture: Name of the backbone.
            image_size: Pixels a side.
            images: That are learned from.
            views: Of each, that go through the frozen layers.
            epochs: Of training.
        """
        backbone = self.ratios.backbones[architecture]
        if not (backbone.trunk_per_second and backbone.tail_per_second):
            return None
        area = backbone.area(image_size)
        speed = self._relative(architecture, image_size)
        once = views / backbone.trunk_per_second + epochs / backbone.tail_per_second
        again = self.embed_seconds(architecture, image_size, images)
        return images * once * area / speed + again

    def vector_bytes(self, architecture: str, images: int) -> float:
        """Returns the disk that vectors take."""
        return images * BACKBONES[architecture].dimension * _VECTOR_BYTES

    def activation_bytes(
        self, architecture: str, image_size: int, images: int, views: int
    ) -> float | None:
        """Returns the disk that phase 2 needs while it runs; None where that isn't known."""
        backbone = self.ratios.backbones[architecture]
        if not backbone.activation_bytes:
            return None
        area = backbone.area(image_size)
        return backbone.activation_bytes * area * images * views

    def _precision(self) -> str:
        anchor = self.measured.anchor
        if "bf16" in anchor:
            return "bf16" if anchor["bf16"] >= 1.1 * anchor["f32"] else "f32"
        return "f32" if anchor else self.machine.precision

    def _measurement(self, architecture: str, image_size: int) -> Measurement | None:
        exact = self.measured.find(architecture, image_size, self.precision)
        others = [
            row
            for row in self.measured.rows
            if (row.architecture, row.precision) == (architecture, self.precision)
        ]
        nearest = min(others, key=lambda row: abs(row.image_size - image_size), default=None)
        return exact or nearest

    def _relative(self, architecture: str, image_size: int) -> float:
        """Returns how fast the machine runs a backbone, as a multiple of the reference machine."""
        row = self._measurement(architecture, image_size)
        return self._times_reference(row) if row else self._speed()

    def _times_reference(self, row: Measurement) -> float:
        """Returns how fast a backbone ran, as a multiple of the reference machine."""
        backbone = self.ratios.backbones[row.architecture]
        return row.in_memory * backbone.area(row.image_size) / self._network_rate(backbone)

    def _speed(self) -> float:
        """Returns the machine's speed beside the reference, by its own runs where there are any."""
        own = [
            self._times_reference(row)
            for row in self.measured.rows
            if row.precision == self.precision and row.architecture in self.ratios.backbones
        ]
        if own:
            own.sort()
            return own[len(own) // 2]
        anchor, reference = self.measured.anchor, self.ratios.anchor
        if self.precision in anchor and self.precision in reference:
            return anchor[self.precision] / reference[self.precision]
        cores = self.machine.cores / self.ratios.cores
        if self.machine.cores > _FEW_CORES:
            cores *= _SHARE_OF_MANY
        return cores * self._class()

    def _class(self) -> float:
        for name in reversed(self.machine.instructions):
            factors = self.ratios.classes.get(name, {})
            if self.precision in factors:
                return factors[self.precision]
        return self.ratios.classes["none"]["f32"]

    @property
    def _is_anchored(self) -> bool:
        return bool(self.measured.rows) or self.precision in self.measured.anchor

    def _network_rate(self, backbone: BackboneRatios) -> float:
        return backbone.in_memory[self.precision]

    def _decode_seconds(self, image_size: int) -> float:
        """Returns the seconds of one core; JPEGs are decoded at half size for small squares."""
        known = {row.image_size: row.decode_seconds for row in self.measured.rows}
        known = known or {int(size): s for size, s in self.ratios.decode_seconds.items()}
        return known[min(known, key=lambda size: abs(size - image_size))]

    def _line(self, backbone: BackboneRatios) -> Line:
        return backbone.resident[self.precision]

    def _more_threads(self, image_size: int) -> float:
        """Returns the bytes of decoding threads beyond those of the reference machine."""
        threads = self.machine.cores - self.ratios.cores
        waiting = 3 * image_size**2 * _AHEAD
        decoded = 3 * self.ratios.megapixels * 1e6 * _COPIES_DECODED
        return max(0, threads) * (waiting + decoded)
