enable f16;

alias number = f16;
