#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
echo "Hello from ${POD_NAME:-$(hostname)} on ${NODE_NAME:-an unknown node}, version $VERSION"
