// The conformance cases.
#pragma once

#include <string>

#include "outcomes.h"

namespace driver {

// Does every case of the file, and gives the outcomes by name. Throws what is the driver's own
// error; that of a call is part of its outcome.
json run_cases(const std::string& cases_file, const std::string& servers_file);

}  // namespace driver
