<?php

namespace Example;

final class Page
{
    public function greet(string $name): string
    {
        $visitor = htmlspecialchars($name);
        return "<!doctype html><title>Golden path</title><h1>Hello, {$visitor}</h1><p>from PHP</p>";
    }
}
