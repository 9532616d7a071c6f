// Which names of a block are undefined until the block assigns them, whatever has that name outside the template.
#pragma once

#include "formats/jinja/ast.h"

namespace mfa::jinja {

// Jinja2 compiles templates to Python, where a name belongs to its block as a whole: one that is assigned before it
// is read is local to the block from the beginning, and a variable of the same name that was passed in is out of
// sight. That shows where code that stands earlier, or inside, reads it. Fills Body::hidden.
void find_hidden_names(Body& body);

}  // namespace mfa::jinja
