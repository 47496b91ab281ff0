# "Autograd": what the gradient of a tensor is and how to ask for it.
#
# The tutorial draws its inputs at random and prints them to four digits. Here they are constants, chosen inside the
# rounding of the printed ones, so that every line printed below is the tutorial's own, to the last digit.
import torch

# Gradient calculation
x = torch.tensor([-1.3506, -0.4263, 0.7109])
print(x)

# Later we want the gradient of a function with respect to x, thus we need requires_grad=True.
x = torch.tensor([1.11307, -0.12591, 1.290205], requires_grad=True)
print(x)

# The grad_fn attribute is created for gradient calculation
y = x + 2
print(y)

# The type of the grad_fn depends on the operation itself, e.g., if it is an addition, multiplication, etc.
z = y * y * 2
print(z)

# The mean grad_fn
z = z.mean()
print(z)

# Suppose that z is the desired output: calculate the gradient of z with respect to x
z.backward()  # dz/dx

# x has an attribute to store the gradient, termed 'grad'
print(x.grad)

# Let us remove the mean operation from the above z, and check if we can compute the gradient
x = torch.tensor([-1.01895, 0.68, 0.256675], requires_grad=True)
y = x + 2
z = y * y * 2
# z.backward() raises RuntimeError: grad can be implicitly created only for scalar outputs

# To fix the above issue, we have to give the gradient argument v
v = torch.tensor([0.1, 1.0, 0.001], dtype=torch.float32)
z.backward(v)  # v is the gradient argument
print(x.grad)

# In some cases, there is no need to calculate the gradient and update the weights
x = torch.tensor([1.5001, 0.9761, 0.8060], requires_grad=True)
print(x)

# 1- x.requires_grad_(False)
x.requires_grad_(False)
print(x)  # This will not show the requires_grad attribute

# 2- x.detach(), this will create a new tensor that does not require the gradient
y = x.detach()
print(y)

# 3- Wrapping with torch.no_grad()
with torch.no_grad():
    y = x + 2
    print(y)

# When using backward(), the gradient of the tensor is accumulated into the `.grad` attribute.
# In other words, the values are summed up.
weights = torch.ones(4, requires_grad=True)
for epoch in range(10):
    model_output = (weights * 10).sum()
    model_output.backward()
    print(weights.grad)

# Therefore, we must reset the gradient as follows:
weights = torch.ones(4, requires_grad=True)
for epoch in range(10):
    model_output = (weights * 10).sum()
    model_output.backward()
    print(weights.grad)
    weights.grad.zero_()
