<%@ page contentType="text/html; charset=UTF-8" %>
<!doctype html>
<title>A war</title>
<p>from a war, by <%= application.getServerInfo().replaceAll("/.*", "") %></p>
