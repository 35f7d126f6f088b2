package main

// The host calls the exports of component.go; a program in Go has a function main all the same.
func main() {}
