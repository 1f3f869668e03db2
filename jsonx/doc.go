package jsonx
