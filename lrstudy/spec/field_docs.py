"""The meaning of every key of a study file, in a sentence: for the JSON Schema, and so for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FIELD_DOCS: Final[Mapping[str, str]] = {
    "name": "Names the study and its run folder: 1 to 200 bytes, no slashes, no leading dot.",
    "seed": "All random numbers derive from it.",
    "schedules": (
        "The schedules under study. A table is a range to search, a list a set of choices; "
        '"range-test" has a rate\'s range found first.'
    ),
    "schedules.kind": 'A built-in schedule, or your own as "module:attribute"; left out: the name.',
    "schedules.momentum": (
        "Momentum (Adam: beta1) that moves beside the rate: { from = 0.85, to = 0.95 }, each a value or a "
        "space; shape: linear, cosine or exponential; start and end: fractions of the training."
    ),
    "schedules.weight_decay": "Weight decay that moves beside the rate, given like momentum.",
    "task.dataset": 'A data set, "image-folder", "tokens", or your own "module:name"; more keys: options.',
    "task.model": 'A model, "torchvision:NAME", or your own as "module:attribute"; further keys: options.',
    "schedules.optimizer": "An optimizer in place of the task's, for this schedule alone.",
    "schedules.loss": "A loss in place of the task's, for this schedule alone; not where val_loss judges.",
    "schedules.search": "What this schedule searches besides its parameters, and values that it fixes.",
    "methods": "The same tables under another name: a schedule with its own optimizer, loss and search.",
    "methods.schedule": "The schedule, which a table of schedules calls kind; left out: the name.",
    "search": (
        "What every schedule searches besides its parameters: task.batch_size, options as optimizer.NAME, "
        "model.NAME, loss.NAME. A table is a range, a list a set of choices."
    ),
    "optimizer.groups": "Groups of parameters by patterns of their names, each with its options.",
    "task.loss": 'The loss, a mean over the rows of a batch, or your own as "module:attribute".',
    "task.optimizer": (
        'The optimizer, or any as "module:attribute"; its lr holds until a schedule says otherwise. groups '
        "divides the parameters."
    ),
    "task.batch_size": "Rows per batch; a training step is a batch, or `accumulate` of them.",
    "task.drop_last": (
        "Leave out an epoch's last batch where it is smaller than the others: few rows make a noisy step "
        "and noisy statistics of batch-norm. The Lipschitz rule's `pass` still measures all rows."
    ),
    "task.epochs": "The most epochs that a trial trains.",
    "task.lengths": "Shorter trainings in which every schedule is tuned and confirmed as well.",
    "task.evaluate_every": "Training steps between two evaluations; left out: one at each epoch's end.",
    "task.validation": (
        'Share of the training set for validation, split off by the seed; "test": none, the test set is it.'
    ),
    "task.test": "Share for the final test, if the data set has no test set.",
    "task.rows": "Use only this many rows of the training set; left out: all.",
    "task.loader": "Read rows batch by batch, with so many processes: { workers = 2 }; left out: in memory.",
    "task.columns": 'Where items are mappings, the names of input and target: ["image", "label"].',
    "task.augment": 'For training images, in order: "flip", "shift:0.1", "crop:4", "rotate:15", "zoom:0.1".',
    "task.normalize": "Scaling of inputs, computed on the training split; left out: the data set's default.",
    "task.precision": "The number format of the training; fp16 (with a gradient scaler) needs a GPU.",
    "task.accumulate": "Batches per training step, whose gradients are averaged over all of their rows.",
    "task.clip_norm": "Largest norm of a step's gradient (clipped_share: how often it acted); left out: any.",
    "task.ema": "Decay of an average of the weights, evaluated as ema_val_loss and so on; left out: none.",
    "task.compile": "Compile the model (torch.compile) for the steps of each trial, in 5 to 60 seconds each.",
    "task.channels_last": "Store images with channels last, which is faster on some GPUs.",
    "task.deterministic": "Use deterministic algorithms only, also on a GPU.",
    "task.metrics": 'More metrics of the validation split, from torchmetrics: "macro-f1", "top-5", …',
    "task.diagnose": (
        'What is measured before the steps up to each evaluation: "gradients" (by layer), "stability" (the '
        "curvature, and the rate over the stability limit)."
    ),
    "task.divergence": "A loss above this counts as diverged.",
    "function.train": 'Your own training as "module:function", in place of the built-in task.',
    "function.steps": "Length of a trial in optimizer steps; or give epochs.",
    "function.epochs": "Length of a trial in passes over the data; or give steps.",
    "function.lengths": "Shorter trainings in which every schedule is tuned and confirmed as well.",
    "function.evaluate_every": "Optimizer steps between two reports; left out: where the function reports.",
    "function.steps_per_epoch": "Optimizer steps of an epoch, where the loader does not know.",
    "function.metrics": 'What every report gives: NAME = "min" or "max", or { goal, low, high }.',
    "function.options": "Passed on as trial.options.",
    "function.lr": "Rate for trial.lr, where a schedule has none.",
    "function.divergence": "A loss above this counts as diverged.",
    "budget.replicates": "Tunings of each schedule, each with its own search, seeds and split of the data.",
    "budget.until": "Stop when the budget is spent, or double the replicates until all is decided.",
    "budget.most": "The most replicates until decided; left out: 8 times as many as the first.",
    "budget.trials": "Configurations that are tried per tuning, the same for all schedules.",
    "budget.first_trials": "Configurations that the search was laid out for, if trials were added later.",
    "budget.tune_seeds": "Seeds that each configuration is tried on; the mean counts.",
    "budget.common_seed": "All configurations of a tuning are tried on the same seeds.",
    "budget.select": "The best configurations that are tried on further seeds; 0: none.",
    "budget.select_seeds": "Those further seeds; the best mean on them wins.",
    "budget.confirm_seeds": "Fresh seeds that each winner is run on, the same for all.",
    "budget.search": "The search method for hyperparameters.",
    "budget.pruner": "The rule that ends poor tuning trials early, within their schedule.",
    "budget.grace_epochs": "Epochs after which the pruner first compares trials.",
    "budget.reduction": "One in this many trials continues, to this many times the epochs.",
    "budget.objective": "What tuning compares: time to the primary target, or the best, final or mean value.",
    "budget.stop": "Runs that end once they have reached all targets: none, those of tuning, or all.",
    "budget.generation": "Trials per generation of the search: trials of one generation run independently.",
    "budget.extend": "Widen a range whose end holds the best value, and continue searching.",
    "budget.extend_trials": "Additional configurations for extended ranges.",
    "target.metric": "The validation metric that the study is judged by.",
    "target.values": "Levels that count as converged; left out: derived from the reference.",
    "target.primary": "The level that the study is to decide; left out: the hardest.",
    "target.arrival": "When a level is reached: first, or stay:3 for 3 evaluations in a row.",
    "target.clock": "Clock of targets and verdicts; left out: the one that a trial's length is given in.",
    "target.reference": "The schedule that the others are compared with; left out: fixed, else the first.",
    "target.margin": "Speedups within this fraction count as equivalent.",
    "target.end_margin": "Values at the end within this distance count as equivalent; left out: none do.",
    "resources.cpus": "CPU cores of each worker.",
    "resources.gpus": "GPUs of each worker, at most 1; a fraction shares one.",
    "resources.workers": "Processes that train a trial together; above 1 only with task.train.",
    "resources.accelerator": "The only kind of GPU to run on, as Ray calls it, e.g. A100; empty: any.",
    "resources.max_concurrent": "The most trials at once (with lanes, groups of them); 0: as many as fit.",
    "resources.lanes": "Trials side by side in one worker, at most; auto: by a fixed rule; 0: never.",
    "resources.step": "A GPU's step: eager, call by call, or captured once per worker and replayed.",
    "faults.checkpoint_epochs": "Epochs between two checkpoints; 0: no checkpoints.",
    "faults.checkpoint_seconds": "Least seconds between two checkpoints of a trial.",
    "faults.lost_node_retries": "Restarts of a trial that lost its worker, machine or a loader's process.",
    "faults.memory_retries": "Restarts of a trial that ran out of memory; it then runs alone.",
    "faults.error_retries": "Restarts of a trial whose code raised an error.",
    "faults.epoch_seconds": "Longest seconds without an evaluation; 0: 20 times the slowest, or 600.",
    "logging.tensorboard": "Write event files for TensorBoard into the run's folder, tracking/.",
    "logging.mlflow": "An MLflow server or database to write to, e.g. http://host:5000 or sqlite:///runs.db.",
    "logging.wandb": "A project of Weights & Biases to write to.",
    "range_test.low": "The rate at which a range test begins.",
    "range_test.high": "The rate at which it ends, unless the loss diverges before.",
    "cost.currency": "The currency of the prices, as EUR.",
    "cost.per_hour": "Prices for an hour by part of a GPU's name, and cpu for a core, as H100 = 2.5.",
    "cost.limit": "The most that the run may cost; it then stops, and can be resumed with a higher limit.",
    "cost.energy": "Measure the energy of each trial with codecarbon, in kWh (extra energy).",
    "range_test.epochs": "Its length; 0: about 200 steps, and no more epochs than a trial has.",
}
