"""thin"""
from tracelake.demo.offline.conversation import Answer, Ask
def answer_generically(ask: Ask) -> Answer:
    return Answer(f"You asked: {ask.last_request}\n\nInstructions: {ask.system}")
