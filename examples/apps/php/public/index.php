<?php

require __DIR__ . '/../vendor/autoload.php';

if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/healthz') {
    header('Content-Type: application/json');
    echo '{"status":"ok"}';
    return;
}
echo (new Example\Page())->greet($_GET['name'] ?? 'world');
