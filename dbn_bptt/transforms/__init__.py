"""Templates made from templates: adjoint, tangent, ragged, segments."""
