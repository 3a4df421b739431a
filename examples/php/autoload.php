<?php

// Composer's loader, where `composer install` has made one; else what debian.sh brings.

declare(strict_types=1);

if (is_file(__DIR__ . '/vendor/autoload.php')) {
    return require __DIR__ . '/vendor/autoload.php';
}

spl_autoload_register(function (string $class): void {
    $name = strtr($class, '\\', '/') . '.php';
    $ours = __DIR__ . '/src/' . preg_replace('#^Digits/#', '', $name);
    $others = [__DIR__ . "/gen/$name", __DIR__ . "/build/grpc/src/php/lib/$name", "/usr/share/php/$name"];
    foreach (str_starts_with($class, 'Digits\\') ? [$ours] : $others as $file) {
        if (is_file($file)) {
            require $file;
            return;
        }
    }
});
