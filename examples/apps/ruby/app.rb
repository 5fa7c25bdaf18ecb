# frozen_string_literal: true

# A small web service: a page at /, its health at /healthz.
require "cgi"
require "webrick"

server = WEBrick::HTTPServer.new(
  BindAddress: ENV.fetch("HOST", "0.0.0.0"), Port: Integer(ENV.fetch("PORT", "8080"))
)
server.mount_proc("/healthz") do |_request, response|
  response.content_type = "application/json"
  response.body = '{"status":"ok"}'
end
server.mount_proc("/") do |request, response|
  name = CGI.escapeHTML(request.query.fetch("name", "world"))
  response.content_type = "text/html; charset=utf-8"
  response.body = "<!doctype html><title>Golden path</title><h1>Hello, #{name}</h1><p>from Ruby</p>"
end
%w[INT TERM].each { |signal| trap(signal) { server.shutdown } }
server.start
