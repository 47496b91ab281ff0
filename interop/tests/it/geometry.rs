//! euclid: points, vectors and projective transforms.

use euclid::default::{Box2D, Point2D, Point3D, Transform3D, Vector2D, Vector3D};
use num_traits::{Float, NumCast};

use crate::differentiate;

/// A point seen in perspective, taken back by the inverse of all but the last step.
fn project<T: Float + NumCast>(x: &[T]) -> T {
    let moved = Transform3D::translation(x[0], x[1], x[2]).then(&Transform3D::scale(x[3], x[4], T::one()));
    let seen = moved.then(&Transform3D::perspective(x[5])).transform_point3d(Point3D::new(x[1], x[2], x[0])).unwrap();
    let back = moved.inverse().unwrap().transform_point3d(seen).unwrap();
    back.x * back.y + back.z + moved.determinant()
}

/// The volume that three vectors span, over the product of their lengths.
fn volume<T: Float>(x: &[T]) -> T {
    let [a, b, c] = [0, 3, 6].map(|i| Vector3D::new(x[i], x[i + 1], x[i + 2]));
    a.cross(b).dot(c) / (a.length() * b.length() * c.length())
        + a.lerp(b, x[8]).normalize().x
        + a.project_onto_vector(c).y
}

/// `x × y` of two vectors in the plane, and the area of the box around them.
fn areas<T: Float>(x: &[T]) -> T {
    let (a, b) = (Vector2D::new(x[0], x[1]), Vector2D::new(x[2], x[3]));
    a.cross(b) + Box2D::from_points([Point2D::zero() + a, Point2D::zero() + b]).area() + a.reflect(b.normalize()).x
}

#[test]
fn transforms_and_vectors() {
    differentiate!(project at [0.3, -0.4, 0.6, 1.5, 0.7, 4.0]);
    differentiate!(volume at [1.0, 0.2, -0.3, 0.4, 1.3, 0.1, -0.2, 0.5, 0.8]);
    differentiate!(areas at [0.3, 0.8, 1.4, -0.6]);
}
