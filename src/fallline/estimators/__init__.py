"""The scikit-learn face: :class:`GDRegressor` and :class:`GDClassifier`, thin over the one loop."""
