"""A convolutional network over a folder of PNGs: workers, augmentation, two losses, clipping, an average."""

import contextlib
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import to_pil_image


def make_folder():
    """Write the digits as PNGs, a folder per class; every fourth image is for validation."""
    root = Path(tempfile.gettempdir()) / "digits-png"
    if not root.exists():
        part = Path(tempfile.mkdtemp(dir=root.parent))
        for i, (image, target) in enumerate(zip(*load_digits(return_X_y=True), strict=True)):
            folder = part / ("val" if i % 4 == 0 else "train") / str(target)
            folder.mkdir(parents=True, exist_ok=True)
            to_pil_image(torch.tensor(image / 16).float().view(8, 8)).save(folder / f"{i:04}.png")
        with contextlib.suppress(OSError):  # another trial's is there
            part.rename(root)
    return root


class Net(nn.Module):
    """Classifies images, and draws them again from its features: the second loss."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
        self.decoder = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x):
        features = self.features(x)
        return self.head(features), self.decoder(features)


def train(trial):
    root, plain = make_folder(), [transforms.Grayscale(), transforms.ToTensor()]
    moved = transforms.Compose([transforms.RandomAffine(10, (0.1, 0.1)), *plain])
    data = ImageFolder(root / "train", moved)
    loader = DataLoader(data, 32, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    held_out = [*DataLoader(ImageFolder(root / "val", transforms.Compose(plain)), 256)]
    model = Net()
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9, weight_decay=5e-4)
    schedule = trial.schedule(optimizer, loader=loader)
    trial.keep(model=model, ema=ema, optimizer=optimizer)
    for x, y in trial.steps(loader):
        logits, drawn = model(x)
        loss = cross_entropy(logits, y) + 0.5 * mse_loss(drawn, x)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ema.update_parameters(model)
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                ema.eval()
                found = torch.cat([ema(images)[0].argmax(1) for images, _ in held_out])
                truth = torch.cat([targets for _, targets in held_out])
                trial.report(val_macro_f1=f1_score(truth, found, average="macro"), train_loss=loss)
