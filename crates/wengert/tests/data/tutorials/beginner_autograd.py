# "Autograd - PyTorch Beginner 03".
#
# The tutorial shows no output. The inputs are constants in place of `randn`, the calls that its text implies
# (`backward`, `zero_grad`, `step`) are filled in, and each result that a reader would look at is printed.
import torch

# requires_grad=True -> tracks all operations on the tensor.
x = torch.tensor([0.4963, -1.2071, 0.8804], requires_grad=True)
y = x + 2

# y was created as a result of an operation, so it has a grad_fn attribute.
# grad_fn: references a Function that has created the Tensor
print(x)  # created by the user -> grad_fn is None
print(x.grad_fn)
print(y)
print(y.grad_fn.name())

# Do more operations on y
z = y * y * 3
print(z)
z = z.mean()
print(z)

# Let's compute the gradients with backpropagation
z.backward()
print(x.grad)  # dz/dx

# Model with non-scalar output:
# if a tensor has more than one element, backward() needs a gradient argument of matching shape,
# the vector of the vector-Jacobian product.
x = torch.tensor([-0.7352, 1.0518, 0.2946], requires_grad=True)

y = x * 2
for _ in range(10):
    y = y * 2

print(y)
print(list(y.shape))

v = torch.tensor([0.1, 1.0, 0.0001], dtype=torch.float32)
y.backward(v)
print(x.grad)

# Stop a tensor from tracking history
# .requires_grad_(...) changes an existing flag in place:
a = torch.tensor([[0.6141, -0.3527], [1.7189, -1.0864]])
print(a.requires_grad)
b = (a * 3) / (a - 1)
print(b)
print(b.grad_fn)
a.requires_grad_(True)
print(a.requires_grad)
b = (a * a).sum()
print(b)
print(b.grad_fn.name())

# .detach(): get a new tensor with the same content but no gradient computation:
a = torch.tensor([[-0.2218, 0.9375], [0.0463, 2.1350]], requires_grad=True)
print(a.requires_grad)
b = a.detach()
print(b.requires_grad)
print(b)

# wrap in with torch.no_grad():
a = torch.tensor([[1.3046, -0.5872], [-0.0791, 0.4418]], requires_grad=True)
print(a.requires_grad)
with torch.no_grad():
    print((x**2).requires_grad)
    print((a**2).requires_grad)

# backward() accumulates the gradient for this tensor into the .grad attribute.
# Use .zero_() to empty the gradients before a new optimization step!
weights = torch.ones(4, requires_grad=True)

for epoch in range(3):
    # just a dummy example
    model_output = (weights * 3).sum()
    model_output.backward()
    print(weights.grad)

    # optimize model, i.e. adjust weights...
    with torch.no_grad():
        weights -= 0.1 * weights.grad

    # this is important! It affects the final weights & output
    weights.grad.zero_()

print(weights)
print(model_output)

# The optimizer has a zero_grad() method
optimizer = torch.optim.SGD([weights], lr=0.1)
# During training:
for epoch in range(3):
    model_output = (weights * 3).sum()
    model_output.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(weights)

print(weights.grad)
print(model_output)
