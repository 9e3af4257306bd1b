"""Facts of the image data sets apart from their original files: counts, classes, digests of the rows.

The digests are those of the original files of MNIST and Fashion-MNIST, whose MD5 sums are checked, and of a
Parquet copy of CIFAR-10 with its 60,000 image names, whose pixel means are the published .4914, .4822, .4465.
Of CIFAR-100 no copy was at hand: its images are checked by numbers and classes alone.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from lrstudy.tasks.image_rows import ImageRows


def _digests(train: str, test: str) -> MappingProxyType[str, str]:
    return MappingProxyType({"train": train, "test": test})


_SMALL: Final = MappingProxyType({"train": 60_000, "test": 10_000})
_LARGE: Final = MappingProxyType({"train": 50_000, "test": 10_000})
_CLOTHES: Final = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"
_THINGS: Final = "airplane automobile bird cat deer dog frog horse ship truck"
_HUNDRED: Final = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly "
    "camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile "
    "cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp "
    "lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree "
    "orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum "
    "rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider "
    "squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)

KNOWN_IMAGES: Final[dict[str, ImageRows]] = {
    "mnist": ImageRows(
        (1, 28, 28),
        _SMALL,
        _digests(
            "3655811c0e1223700a4714a92a51f55bd215ed7dc1fa2baa4326a2b58042d82d",
            "634538fb34c5277fce98470b8b285d1e8419eb87f328da42ef1faf690d2c3911",
        ),
        even=False,
        names=tuple(map(str, range(10))),
    ),
    "fashion-mnist": ImageRows(
        (1, 28, 28),
        _SMALL,
        _digests(
            "0c69d5cdeb902b69084012f812f066de080317bb3c64f43ca87f910d8ec86906",
            "90c92c0507755a7d443edde8297ce4d0f131e42884e2e87e7fc9b81ffe215258",
        ),
        even=True,
        names=tuple(_CLOTHES.split()),
    ),
    "cifar10": ImageRows(
        (3, 32, 32),
        _LARGE,
        _digests(
            "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
            "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
        ),
        even=True,
        names=tuple(_THINGS.split()),
    ),
    "cifar100": ImageRows((3, 32, 32), _LARGE, None, even=True, names=tuple(_HUNDRED.split())),
}
