// What dotsctl returns to scripts (docs/dotsctl.md).
#pragma once

namespace dots::dotsctl {

enum ExitCode : int {
  kOk = 0,
  kRefused = 1,      // refused or failed
  kUsage = 2,        // the command line is wrong
  kUnreachable = 3,  // no daemon answers
  kNotFound = 4,     // there is no such thing
};

}  // namespace dots::dotsctl
