//! Training, holdouts, bundles of models.
