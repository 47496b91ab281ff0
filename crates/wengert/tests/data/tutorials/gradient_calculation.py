# "Gradient Calculation with Autograd".
#
# The tutorial draws its inputs at random and prints them to four digits. Here they are constants, chosen inside the
# rounding of the printed ones, so that every line printed below is the tutorial's own, to the last digit.
import torch

# Gradient calculation
x = torch.tensor([0.0157, 0.15046, 0.05312], requires_grad=True)
print(x)

y = x + 2
print(y)

z = y * y * 2
# z = z.mean()
print(z)  # z is a scalar (when z = z.mean()) or a vector (when z = y * y * 2)
v = torch.tensor([0.1, 1.0, 0.001], dtype=torch.float32)
z.backward(v)  # dz/dx (no argument is needed when z has only one value, i.e. due to z = z.mean())
print(x.grad)  # a vector-Jacobian product

# Preventing gradient history
x = torch.tensor([-0.0121, 1.8233, -1.5379], requires_grad=True)
print("X = ", x)

x.requires_grad_(False)
print("X = ", x)

y = x.detach()
print("Y = ", y)

with torch.no_grad():
    z = x + 2
    print("Z = ", z)

# Training example (zeroing the gradient)
weights = torch.ones(4, requires_grad=True)

for epoch in range(3):
    model_output = (weights * 3).sum()
    model_output.backward()
    print(weights.grad)  # without zeroing, this would show accumulated gradients
    weights.grad.zero_()
