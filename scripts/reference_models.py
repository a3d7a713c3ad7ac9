"""The networks in PyTorch, written from the paper, with our parameter names.

Used by golden_models.py (trajectories our networks must follow) and by compare_pytorch*.py and gpu_check.py (how fast a step
is). Models have the names of the golden trajectories; compare_pytorch.py maps STUDY/MODEL to them.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Lenet(nn.Module):
    """Stages of convolution, BatchNorm, ReLU, 2x2 max-pool; stage 0 is 5x5, channels double."""

    def __init__(self, channels, stages):
        super().__init__()
        self.stages = stages
        for i in range(stages):
            inputs, kernel = (1, 5) if i == 0 else (channels << (i - 1), 3)
            conv = nn.Conv2d(inputs, channels << i, kernel, padding=kernel // 2, bias=False)
            nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
            self.add_module(f"conv{i}", conv)
            self.add_module(f"norm{i}", nn.BatchNorm2d(channels << i))

    def forward(self, x):
        for i in range(self.stages):
            x = F.max_pool2d(F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x))), 2)
        return x.flatten(1)


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, outputs, slope=0.0):
        super().__init__()
        self.slope = slope
        self.hidden = nn.Linear(inputs, hidden)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x):
        x = self.hidden(x)
        return self.output(F.leaky_relu(x, self.slope) if self.slope else F.relu(x))


class Series(nn.Module):
    """All hidden states of a GRU, through a linear layer per step if there is a projection."""

    def __init__(self, inputs, hidden, projection=None):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True)
        self.projection = nn.Linear(hidden, projection) if projection else None

    def forward(self, x):
        states, _ = self.gru(x)
        return (self.projection(states) if self.projection else states).flatten(1)


class LowRank(nn.Module):
    """Low-rank tensor fusion: a one is prepended to the features of each modality."""

    def __init__(self, features, rank, output, trainable=True):
        super().__init__()
        for m in (0, 1):
            factor = torch.empty(rank, features[m] + 1, output)
            nn.init.xavier_normal_(factor)
            setattr(self, f"factor{m}", nn.Parameter(factor, requires_grad=trainable))
        weight = nn.init.xavier_normal_(torch.empty(1, rank))
        self.weight = nn.Parameter(weight, requires_grad=trainable)
        self.bias = nn.Parameter(torch.zeros(1, output), requires_grad=trainable)

    def forward(self, first, second):
        one = first.new_ones(first.shape[0], 1)
        first = torch.matmul(torch.cat([one, first], 1), self.factor0)
        second = torch.matmul(torch.cat([one, second], 1), self.factor1)
        fused = torch.matmul(self.weight, (first * second).permute(1, 0, 2)).squeeze(1)
        return fused + self.bias


class Unimodal(nn.Module):
    def __init__(self, modality, encoder, head):
        super().__init__()
        self.modality = modality
        self.encoder = encoder
        self.head = head

    def forward(self, inputs):
        return self.head(self.encoder(inputs[self.modality]))


class Inter(nn.Module):
    def __init__(self, encoders, head, fusion=None):
        super().__init__()
        self.encoder0, self.encoder1 = encoders
        if fusion is not None:
            self.fusion = fusion
        self.head = head

    def forward(self, inputs):
        first, second = self.encoder0(inputs[0]), self.encoder1(inputs[1])
        fusion = getattr(self, "fusion", None)
        return self.head(fusion(first, second) if fusion else torch.cat([first, second], 1))


class Block(nn.Module):
    """a = ReLU(GN(x)); conv(ReLU(GN(conv(a)))) + (x, or a 1x1 convolution of a)."""

    def __init__(self, inputs, outputs, stride, groups):
        super().__init__()
        self.norm0 = nn.GroupNorm(groups, inputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(groups, outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.norm0(x))
        shortcut = self.shortcut(active) if hasattr(self, "shortcut") else x
        return self.conv1(F.relu(self.norm1(self.conv0(active)))) + shortcut


class PreactResnet(nn.Module):
    """fastMRI's network on the stacked modalities; heads are rows of one linear layer."""

    def __init__(self, modalities, stem=64, widths=(64, 128, 256, 512), blocks=2, groups=32, pool=10, logits=8):
        super().__init__()
        self.modalities, self.pool = modalities, pool
        self.stem = nn.Conv2d(len(modalities), stem, 3, 1, 1, bias=False)
        inputs, self.count = stem, blocks * len(widths)
        for index in range(self.count):
            outputs = widths[index // blocks]
            stride = 2 if index >= blocks and index % blocks == 0 else 1
            self.add_module(f"block{index}", Block(inputs, outputs, stride, groups))
            inputs = outputs
        self.heads = nn.Linear(inputs * pool * pool, logits)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs):
        x = self.stem(torch.cat([inputs[m] for m in self.modalities], 1))
        for index in range(self.count):
            x = getattr(self, f"block{index}")(x)
        return self.heads(F.adaptive_avg_pool2d(x, self.pool).flatten(1))


class Experts(nn.ModuleDict):
    """The experts of a run: log-probabilities of their product."""

    def forward(self, inputs):
        total = sum(F.log_softmax(expert(inputs), 1) for expert in self.values())
        return F.log_softmax(total, 1)


def our_name(name):
    """`inter.encoder1.gru.weight_ih_l0` in PyTorch is `inter.encoder1.gru.weight_ih` here."""
    return name.removesuffix("_l0")


def our_state(experts):
    """Parameters and BatchNorm buffers by our names."""
    return {our_name(k): v for k, v in experts.state_dict().items() if not k.endswith("num_batches_tracked")}


def avmnist(image=(3, 4, 100), audio=(3, 6, 100), inter=(6, (4, 6), 100), sides=(28, 112), rank=40, output=120, trainable=True):
    """The models of Table 1: a builder of experts by the name of each model."""
    widths = lambda channels, stages, side: (channels << (stages - 1)) * (side >> stages) ** 2

    def unimodal(m, channels, stages, hidden):
        head = Mlp(widths(channels, stages, sides[m]), hidden, 10)
        return Unimodal(m, Lenet(channels, stages), head)

    def joint(low_rank):
        channels, stages, hidden = inter
        encoders = [Lenet(channels, s) for s in stages]
        features = [widths(channels, s, side) for s, side in zip(stages, sides)]
        fusion = LowRank(features, rank, output, trainable) if low_rank else None
        return Inter(encoders, Mlp(output if low_rank else sum(features), hidden, 10), fusion)

    parts = {
        "image": lambda: unimodal(0, *image),
        "audio": lambda: unimodal(1, *audio),
        "lf": lambda: joint(False),
        "lrtf": lambda: joint(True),
    }
    models = {
        "image": ["image"],
        "audio": ["audio"],
        "intra": ["image", "audio"],
        "lf": ["lf"],
        "lrtf": ["lrtf"],
        "i2m2-lf": ["image", "audio", "lf"],
        "i2m2-lrtf": ["image", "audio", "lrtf"],
    }
    return named(parts, models)


def mimic(classes=6, steps=24, slope=0.0):
    """The models of Table 2."""
    parts = {
        "static": lambda: Unimodal(0, Mlp(5, 10, 10, slope), Mlp(10, 40, classes, slope)),
        "series": lambda: Unimodal(1, Series(12, 30, 15), Mlp(steps * 15, 40, classes, slope)),
        "inter": lambda: Inter([Mlp(5, 10, 10, slope), Series(12, 30)], Mlp(10 + steps * 30, 40, classes, slope)),
    }
    models = {
        "static": ["static"],
        "series": ["series"],
        "mimic-intra": ["static", "series"],
        "mimic-inter": ["inter"],
        "mimic-i2m2": ["static", "series", "inter"],
    }
    return named(parts, models)


def named(parts, models):
    """Joint experts are called `inter` in every model."""
    name = lambda part: "inter" if part in ("lf", "lrtf") else part
    return {
        model: (lambda chosen=chosen: Experts({name(part): parts[part]() for part in chosen}))
        for model, chosen in models.items()
    }
