"""The science of open set recognition: data, backbones, methods, training, scores, metrics.

Runs in a plain Python process, on CPU or GPU; knows neither Ray nor MLflow.

Words:
    known, unknown  classes trained on, and classes that a model must reject at test time
    split           a choice of known and unknown classes of a dataset
    method          one paper's way of training and scoring
    stage           one unit of work, a pure function of its config, inputs, data and version
    trial           method x hyperparameters x dataset x split x seed, made of stages
"""
