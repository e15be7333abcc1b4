#include "wire/uri_path.h"

#include <gtest/gtest.h>

namespace dots::wire {
namespace {

using model::ResponseCode;

std::vector<std::string> below_dots(std::vector<std::string> rest) {
  std::vector<std::string> segments{".well-known", "dots"};
  segments.insert(segments.end(), rest.begin(), rest.end());
  return segments;
}

ResponseCode code_of(const std::vector<std::string>& segments) {
  const auto path = parse_path(segments);
  EXPECT_FALSE(path) << "accepted";
  if (path) return ResponseCode::content;
  EXPECT_FALSE(path.error().diagnostic.empty());
  return path.error().code;
}

MitigatePath mitigate(std::optional<std::string> cdid, const char* cuid, std::optional<std::uint32_t> mid) {
  MitigatePath path;
  path.cdid = std::move(cdid);
  path.cuid = base::Cuid{cuid};
  if (mid) path.mid = base::Mid{*mid};
  return path;
}

// S9132-4.2-01, S9132-4.2-02
TEST(UriPath, UnknownResourcesAreNotFound) {
  for (const auto& segments : std::vector<std::vector<std::string>>{{},
                                                                    {".well-known"},
                                                                    {".well-known", "dots"},
                                                                    {"dots", "mitigate"},
                                                                    {"mitigate", "cuid=a", "mid=1"},
                                                                    {".well-known", "core"},
                                                                    {".well-known", "dots", "mitigat"},
                                                                    {".well-known", "dots", "MITIGATE"},
                                                                    {".well-known", "dots", ""},
                                                                    {".well-known", "dots", "v1", "mitigate", "cuid=a"},
                                                                    {"", ".well-known", "dots", "hb"}}) {
    EXPECT_EQ(code_of(segments), ResponseCode::not_found);
  }
}

// S9132-4.2-01, S9132-4.2-02, S9132-10.2-01
TEST(UriPath, OperationsAreRead) {
  EXPECT_EQ(*parse_path(below_dots({"hb"})), ResourcePath{HeartbeatPath{}});
  EXPECT_EQ(*parse_path(below_dots({"config"})), ResourcePath{ConfigPath{}});
  EXPECT_EQ(*parse_path(below_dots({"config", "sid=123"})), ResourcePath{ConfigPath{base::Sid{123}}});
  EXPECT_EQ(*parse_path(below_dots({"mitigate"})), ResourcePath{MitigatePath{}});
  EXPECT_EQ(*parse_path(below_dots({"mitigate", "cuid=abc"})), ResourcePath{mitigate({}, "abc", {})});
  EXPECT_EQ(*parse_path(below_dots({"mitigate", "cdid=x", "cuid=a=b c/d%20", "mid=4294967295"})),
            ResourcePath{mitigate("x", "a=b c/d%20", 4294967295U)})
      << "literal text, nothing is decoded";
  EXPECT_EQ(*parse_path(below_dots({"mitigate", "cuid=a", "mid=0"})), ResourcePath{mitigate({}, "a", 0)});
}

// S9132-4.2-03
TEST(UriPath, SegmentsAreWrittenOneByOne) {
  EXPECT_EQ(to_segments(mitigate({}, "dz6pHjaADkaFTbjr0JGBpw", 123)),
            (std::vector<std::string>{".well-known", "dots", "mitigate", "cuid=dz6pHjaADkaFTbjr0JGBpw", "mid=123"}));
  for (const ResourcePath& path :
       {ResourcePath{mitigate("x", "a", 7)}, ResourcePath{mitigate({}, "a", {})}, ResourcePath{MitigatePath{}},
        ResourcePath{ConfigPath{}}, ResourcePath{ConfigPath{base::Sid{0}}}, ResourcePath{HeartbeatPath{}}}) {
    EXPECT_EQ(*parse_path(to_segments(path)), path);
  }
}

// S9132-4.4.1.1-02, S9132-4.4.1.2-04
TEST(UriPath, OrderOfParametersIsFixed) {
  for (const auto& rest : std::vector<std::vector<std::string>>{{"mitigate", "mid=1", "cuid=a"},
                                                                {"mitigate", "cuid=a", "cdid=x"},
                                                                {"mitigate", "cuid=a", "cdid=x", "mid=1"},
                                                                {"mitigate", "cuid=a", "mid=1", "cuid=b"}}) {
    EXPECT_EQ(code_of(below_dots(rest)), ResponseCode::bad_request);
  }
}

// S9132-4.4.1.1-03 (a mid without cuid), S9132-4.4.1.1-26, S9132-5.3-04
TEST(UriPath, MissingEmptyRepeatedOrBrokenParametersAreBad) {
  const std::string long_cuid = "cuid=" + std::string(251, 'x');
  for (const auto& rest : std::vector<std::vector<std::string>>{{"mitigate", "mid=1"},
                                                                {"mitigate", "cdid=x"},
                                                                {"mitigate", "cuid="},
                                                                {"mitigate", "cdid=", "cuid=a"},
                                                                {"mitigate", "cuid=a", "mid="},
                                                                {"mitigate", "cuid=a", "cuid=a"},
                                                                {"mitigate", "cuid=a", "mid=1", "mid=1"},
                                                                {"mitigate", "cdid=x", "cdid=x", "cuid=a"},
                                                                {"mitigate", "cuid=a", "mid=4294967296"},
                                                                {"mitigate", "cuid=a", "mid=-1"},
                                                                {"mitigate", "cuid=a", "mid=+1"},
                                                                {"mitigate", "cuid=a", "mid=01"},
                                                                {"mitigate", "cuid=a", "mid=1x"},
                                                                {"mitigate", "cuid=a", "mid=0x10"},
                                                                {"mitigate", "cuid=a", "mid=99999999999999999999"},
                                                                {"mitigate", "cuid=a", "sid=1"},
                                                                {"mitigate", "cuid=a", "mid=1", ""},
                                                                {"mitigate", ""},
                                                                {"mitigate", "cuid"},
                                                                {"mitigate", "CUID=a"},
                                                                {"mitigate", "cuid=a\nb"},
                                                                {"mitigate", "cuid=\xc3\x28"},
                                                                {"mitigate", long_cuid},
                                                                {"config", "sid="},
                                                                {"config", "sid=4294967296"},
                                                                {"config", "sid=1", "sid=1"}}) {
    EXPECT_EQ(code_of(below_dots(rest)), ResponseCode::bad_request) << rest.back();
  }
  EXPECT_TRUE(parse_path(below_dots({"mitigate", "cuid=" + std::string(250, 'x')})));
  EXPECT_EQ(code_of(below_dots(std::vector<std::string>{"mitigate", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                                        "k", "l", "m", "n", "o", "p"})),
            ResponseCode::bad_request);
}

// S9132-4.5.2-10
TEST(UriPath, ConfigTakesNoClientIdentifier) {
  EXPECT_EQ(code_of(below_dots({"config", "cuid=a"})), ResponseCode::bad_request);
  EXPECT_EQ(code_of(below_dots({"config", "cuid=a", "sid=1"})), ResponseCode::bad_request);
}

// S9132-4.7-03
TEST(UriPath, HeartbeatTakesNoParameters) {
  for (const char* parameter : {"cuid=x", "cdid=x", "mid=1", ""}) {
    EXPECT_EQ(code_of(below_dots({"hb", parameter})), ResponseCode::bad_request);
  }
}

}  // namespace
}  // namespace dots::wire
