"""Standard errors: what the data say about each coefficient, and what they do not

For models that are likelihoods and have no penalty. Asked for with a penalty, `fallline` refuses and says why: such coefficients
are biased on purpose.
"""

from sklearn.datasets import load_diabetes

from fallline import GDRegressor
from fallline.errors import SettingError

X, y = load_diabetes(return_X_y=True, as_frame=True)
model = GDRegressor(inference=True).fit(X, y)
print(model.summary(level=0.9))

try:
    GDRegressor(l2=0.1, inference=True).fit(X, y)
except SettingError as error:
    print("\nwith a ridge:", error)
