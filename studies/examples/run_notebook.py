"""A marimo notebook of a run: ``marimo edit run_notebook.py -- --run runs/digits``."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    import lrstudy

    study = lrstudy.open_study(mo.cli_args().get("run") or "runs/digits")
    study  # noqa: B018 - a cell shows its last value
    return mo, study


@app.cell
def _(mo):
    figure = mo.ui.dropdown(["speedup", "learning_curves", "time_to_target", "rate_sensitivity"], "speedup")
    figure  # noqa: B018
    return (figure,)


@app.cell
def _(figure, study):
    getattr(study.plot, figure.value)().plotly()
    return


@app.cell
def _(study):
    study.store.pandas("trials")
    return


if __name__ == "__main__":
    app.run()
