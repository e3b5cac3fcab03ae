"""Python control flow becomes graph control flow.

`source` finds a function's syntax tree, `names` knows what it reads and assigns, `templates` write new trees; `jumps`,
`branches`, `loops`, `logic`, `calls`, `checks` convert one kind of construct each; `conversion` puts a converted
function together. What the converted code calls while it runs stands in `operators`.
"""
